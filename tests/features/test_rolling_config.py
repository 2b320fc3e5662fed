from __future__ import annotations

import pytest
from pydantic import ValidationError

from features.rolling.feature_config import FeatureConfig, Kind, check_features

SECOND = 1_000_000_000


def configured(**fields: str) -> FeatureConfig:
    """As a config file has it: the kind may follow from the name."""
    return FeatureConfig.model_validate(fields)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vwap_60s", "vwap"),
        ("ret_60s", "return"),
        ("return_60s", "return"),
        ("vol_60s", "volatility"),
        ("volatility_60s", "volatility"),
        ("mom_60s", "momentum"),
        ("momentum_60s", "momentum"),
        ("rsi_14", "rsi"),
        ("rsi", "rsi"),
        ("skew_5m", "skewness"),
        ("skewness_5m", "skewness"),
        ("kurt_5m", "kurtosis"),
        ("kurtosis_5m", "kurtosis"),
    ],
)
def test_kind_follows_from_the_first_word_of_the_name(name: str, kind: Kind) -> None:
    assert configured(name=name, horizon="60s").kind == kind


def test_kind_that_is_given_wins_over_the_name() -> None:
    assert configured(name="vol_like", kind="rsi", horizon="60s").kind == "rsi"


def test_name_that_tells_no_kind_needs_one() -> None:
    with pytest.raises(
        ValidationError, match="'speed_60s' does not begin with a kind; set kind to one of vwap, return"
    ):
        configured(name="speed_60s", horizon="60s")
    assert configured(name="speed_60s", kind="momentum", horizon="60s").kind == "momentum"


@pytest.mark.parametrize(
    "name", ["Vwap_60s", "_vwap", "vwap-60s", "1vwap", "vwap_" + "x" * 56, "vwap_60s\n", "", "vwäp"]
)
def test_name_that_is_no_plain_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        configured(name=name, kind="vwap", horizon="60s")


@pytest.mark.parametrize(
    "name", ["vwap", "close", "ts", "partition", "source_topic", "offset", "score", "provider", "xmin"]
)
def test_name_of_another_column_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' is a column already"):
        configured(name=name, kind="vwap", horizon="60s")


@pytest.mark.parametrize("horizon", ["60", "0s", "-2s", "1.5s", "one minute", ""])
def test_horizon_that_is_no_duration_is_refused(horizon: str) -> None:
    with pytest.raises(ValidationError, match="is not a duration"):
        configured(name="vwap_60s", horizon=horizon)


@pytest.mark.parametrize("change", [{"kind": "median"}, {"windows": 3}])
def test_unknown_kinds_and_keys_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FeatureConfig.model_validate({"name": "vwap_60s", "horizon": "60s"} | change)


def test_config_cannot_be_changed() -> None:
    config = configured(name="vwap_60s", horizon="60s")
    with pytest.raises(ValidationError, match="frozen"):
        config.horizon = "2s"


def test_horizon_must_be_a_whole_number_of_windows() -> None:
    with pytest.raises(ValueError, match=r"horizon '61s' of 'vwap_61s' must be a whole multiple of the window 2s"):
        check_features([configured(name="vwap_61s", horizon="61s")], 2 * SECOND)


@pytest.mark.parametrize(
    ("kind", "least"),
    [("vwap", 1), ("return", 1), ("momentum", 1), ("rsi", 2), ("volatility", 3), ("skewness", 4), ("kurtosis", 5)],
)
def test_horizon_must_be_long_enough_for_its_kind(kind: Kind, least: int) -> None:
    check_features([configured(name="x", kind=kind, horizon=f"{2 * least}s")], 2 * SECOND)
    with pytest.raises(ValueError, match=f"at least {least} and at most 100000 windows for kind {kind}"):
        check_features([configured(name="x", kind=kind, horizon=f"{2 * least - 1}s")], SECOND * 2)
    if least > 1:
        with pytest.raises(ValueError, match=f"at least {least} "):
            check_features([configured(name="x", kind=kind, horizon=f"{2 * least - 2}s")], SECOND * 2)


def test_horizon_must_not_be_so_long_that_the_state_would_not_fit_into_memory() -> None:
    with pytest.raises(ValueError, match="at most 100000 windows"):
        check_features([configured(name="vwap_60d", horizon="60d")], 2 * SECOND)


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="name 'vwap_60s' is used more than once"):
        check_features([configured(name="vwap_60s", horizon=h) for h in ("60s", "62s")], 2 * SECOND)


def test_horizon_in_windows_and_how_far_back_it_looks() -> None:
    features = [configured(name=name, horizon="60s") for name in ("vol_60s", "ret_60s", "mom_60s")]
    assert [feature.bars(2 * SECOND) for feature in features] == [30, 30, 30]
    assert [feature.span(2 * SECOND) for feature in features] == [30, 60, 60]
