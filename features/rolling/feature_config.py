"""The config of rolling features, and its validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contracts import frames
from contracts.condition_words import CONDITION_WORDS
from contracts.duration import format_duration, parse_duration

Kind = Literal["vwap", "return", "volatility", "momentum", "rsi", "skewness", "kurtosis"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
ABBREVIATIONS: Final = {"ret": "return", "vol": "volatility", "mom": "momentum", "skew": "skewness", "kurt": "kurtosis"}

MINIMUM_BARS: Final[dict[Kind, int]] = {  # of a horizon, for the feature to have a value at all
    "vwap": 1,
    "return": 1,
    "volatility": 3,  # two returns
    "momentum": 1,
    "rsi": 2,  # TA-Lib's shortest period
    "skewness": 4,
    "kurtosis": 5,
}
MAXIMUM_BARS: Final = 100_000  # TA-Lib's longest period; the state holds a row per window

RESERVED: Final = frozenset(
    {*frames.BARS, *frames.SIGNALS, *frames.FEATURE_KEY, "partition", "topic"}
    | {"source_topic", "source_partition", "source_offset", "source_row"}
    | {"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"}  # of every table of PostgreSQL
)


def _unreserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} is a column already; choose another name, such as '{name}_60s'")
    if name in CONDITION_WORDS:
        raise ValueError(f"{name!r} is a word of conditions; choose another name, such as '{name}_60s'")
    return name


def _duration(text: str) -> str:
    parse_duration(text)
    return text


class FeatureConfig(BaseModel):
    """One rolling feature: a column `name` of every features frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$"), AfterValidator(_unreserved)] = Field(
        description="A small letter, then up to 59 of a-z, 0-9, `_`; distinct, not a column that there is already, "
        "such as `close`, and not a word such as `true` or `select`. Other words of SQL stand in quotes in a rule."
    )
    kind: Kind = Field(
        description="May be left out where the first word of the name is a kind, or one of `ret`, `vol`, `mom`, "
        "`skew`, `kurt`."
    )
    horizon: Annotated[str, AfterValidator(_duration)] = Field(
        description="A duration that is a whole number of windows: at least 1 (2 for rsi, 3 for volatility, 4 for "
        "skewness, 5 for kurtosis), at most 100,000."
    )

    @model_validator(mode="before")
    @classmethod
    def _kind_from_name(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("kind") is not None or not isinstance(data.get("name"), str):
            return data
        word = data["name"].split("_")[0]
        kind = ABBREVIATIONS.get(word, word)
        if kind not in KINDS:
            raise ValueError(f"name {data['name']!r} does not begin with a kind; set kind to one of {', '.join(KINDS)}")
        return {**data, "kind": kind}

    def bars(self, window_ns: int) -> int:
        """Length of the horizon, in windows."""
        return parse_duration(self.horizon) // window_ns

    def span(self, window_ns: int) -> int:
        """How far back from a window's end the feature reads, in windows."""
        return self.bars(window_ns) * (2 if self.kind in ("return", "momentum") else 1)


def check_features(features: Sequence[FeatureConfig], window_ns: int) -> None:
    """Check that these features can be computed together on bars of `window_ns` nanoseconds.

    Raises:
        ValueError: a name is used twice, or a horizon is not a whole number of windows, or too short or too long.

    """
    names = [feature.name for feature in features]
    for feature in features:
        if names.count(feature.name) > 1:
            raise ValueError(f"features: name {feature.name!r} is used more than once; names must differ")
        _check_horizon(feature, window_ns)


def _check_horizon(feature: FeatureConfig, window_ns: int) -> None:
    shortest, longest = MINIMUM_BARS[feature.kind], MAXIMUM_BARS
    if parse_duration(feature.horizon) % window_ns == 0 and shortest <= feature.bars(window_ns) <= longest:
        return
    raise ValueError(
        f"features: horizon {feature.horizon!r} of {feature.name!r} must be a whole multiple of the window "
        f"{format_duration(window_ns)}: at least {shortest} and at most {longest} windows for kind {feature.kind}"
    )
