import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.config import InferenceConfigError
from inference.evaluator import EVALUATED
from inference.rules import Rule, RulesEvaluator, load_rules
from tests.inference.inference_frames import SECOND, WINDOW, features

NAMES = ("momentum", "volatility", "rsi")
SPAN = 10 * SECOND
SHIPPED = Path(__file__).parents[2] / "configs" / "rules.yaml"


def rule(name: str, condition: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "condition": condition, "signal": 1.0, "score": 0.5, **more}


def evaluator(folder: Path, *rules: dict[str, Any], span_ns: int = SPAN) -> RulesEvaluator:
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(list(rules)), encoding="utf-8")
    return RulesEvaluator(load_rules(file, NAMES), span_ns)


def refusal(folder: Path, content: str) -> str:
    file = folder / "rules.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InferenceConfigError) as refused:
        load_rules(file, NAMES)
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


def test_a_key_that_is_nearly_right_is_set_right(tmp_path: Path) -> None:
    content = "- {name: up, conditon: rsi > 70, signal: 1, score: 1}"
    assert refusal(tmp_path, content) == "rule 1: conditon is not a known key; did you mean condition?"


def test_the_shipped_rules_signal_as_their_names_say() -> None:
    rules = RulesEvaluator(load_rules(SHIPPED, NAMES), SPAN)
    frame = features(
        [
            {"momentum": 0.02, "volatility": 0.31, "rsi": 71.0, "close": 425.15},
            {"momentum": -0.02, "volatility": 0.3, "rsi": 29.0},
            {"momentum": 0.01, "volatility": None, "rsi": 70.0},
        ]
    )
    result = rules.evaluate(frame)
    assert result.schema == EVALUATED
    assert result.select("offset", "name", "value", "score").rows() == [
        (0, "price_momentum_up", 1.0, 0.8),
        (0, "high_volatility", 0.0, 0.9),
        (0, "rsi_overbought", -1.0, 0.7),
        (1, "price_momentum_down", -1.0, 0.8),
        (1, "rsi_oversold", 1.0, 0.7),
    ]
    assert result["ts"].to_list() == [WINDOW, WINDOW, WINDOW, 2 * WINDOW, 2 * WINDOW]
    assert result["meta"][0] == '{"window":"2s","price":425.15}'


def test_a_rule_with_only_null_features_stays_silent_even_when_negated(tmp_path: Path) -> None:
    rules = evaluator(tmp_path, rule("low", "not (rsi > 70)"), rule("any", "rsi > 0 or not rsi > 0"))
    assert rules.evaluate(features([{}, {"rsi": 50.0}]))["offset"].to_list() == [1, 1]


def test_a_rule_uses_the_bar_and_counts_as_floats(tmp_path: Path) -> None:
    rules = evaluator(tmp_path, rule("busy", "trades / 2 > 1.2 and close > 99 and vwap is null"))
    assert rules.evaluate(features([{"trades": 2}, {"trades": 3}]))["offset"].to_list() == [1]


def test_a_rule_for_some_symbols_leaves_the_others_alone(tmp_path: Path) -> None:
    rules = evaluator(tmp_path, rule("some", "rsi > 0", symbols=["A", "C"]), rule("all", "rsi > 0"))
    frame = features([{"symbol": symbol, "rsi": 1.0} for symbol in "ABC"])
    assert rules.evaluate(frame).select("symbol", "name").rows() == [
        ("A", "some"),
        ("A", "all"),
        ("B", "all"),
        ("C", "some"),
        ("C", "all"),
    ]


def test_an_edge_is_reported_once_per_symbol_and_provider(tmp_path: Path) -> None:
    rules = evaluator(tmp_path, rule("turn", "rsi > 70", emit="edge"), rule("hold", "rsi > 70"))
    rsi: dict[tuple[str, str], list[float | None]] = {
        ("p", "A"): [80, 80, None, 90, 60, 71],
        ("p", "B"): [60, 80, 80, 80, 80, 80],
        ("q", "A"): [80] * 6,
    }
    frame = features(
        [
            {"provider": provider, "symbol": symbol, "rsi": values[at], "ts": at * WINDOW, "offset": at}
            for at in range(6)
            for (provider, symbol), values in rsi.items()
        ]
    )
    result = rules.evaluate(frame)
    turns = result.filter(pl.col("name") == "turn").select("provider", "symbol", "offset").rows()
    assert turns == [("p", "A", 0), ("q", "A", 0), ("p", "B", 1), ("p", "A", 3), ("p", "A", 5)]
    assert len(result.filter(pl.col("name") == "hold")) == 4 + 5 + 6


def test_a_symbol_away_for_the_span_turns_again_and_leaves_the_memory(tmp_path: Path) -> None:
    rules = evaluator(tmp_path, rule("turn", "rsi > 70", emit="edge"))

    def turned(symbol: str, ts: int, provider: str = "p") -> bool:
        frame = features([{"provider": provider, "symbol": symbol, "ts": ts, "rsi": 80.0}])
        return not rules.evaluate(frame).is_empty()

    assert turned("A", SECOND)
    assert turned("Z", SECOND, "other")
    assert not turned("A", SPAN)
    assert turned("A", 2 * SPAN)
    assert turned("B", 3 * SPAN)
    assert {symbol for _, symbol in rules.snapshot()["subjects"]} == {"B", "Z"}, (
        "A is too old, Z's provider has not moved"
    )
    assert turned("A", 3 * SPAN)


def test_restoring_under_changed_rules_keeps_what_is_known(tmp_path: Path) -> None:
    old = evaluator(tmp_path, rule("kept", "rsi > 70", emit="edge"), rule("gone", "rsi > 1", emit="edge"))
    old.evaluate(features([{"rsi": 80.0}]))
    new = evaluator(tmp_path, rule("new", "rsi > 70", emit="edge"), rule("kept", "rsi > 70", emit="edge"))
    new.restore(old.snapshot())
    assert new.evaluate(features([{"rsi": 80.0, "ts": 2 * WINDOW}]))["name"].to_list() == ["new"]


SYMBOLS: st.SearchStrategy[str] = st.sampled_from(["A", "B", "C"])
STEPS: st.SearchStrategy[list[tuple[str, str, int, float | None]]] = st.lists(
    st.tuples(st.sampled_from(["p", "q"]), SYMBOLS, st.integers(0, 6), st.sampled_from([None, 10.0, 71.0, 80.0])),
    min_size=1,
    max_size=40,
)
CONDITIONS: dict[str, Callable[[float], bool]] = {
    "high": lambda rsi: rsi > 70,
    "very": lambda rsi: rsi > 75,
    "low": lambda rsi: not rsi > 20,
}


def oracle(rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """The edges, one row at a time."""
    memory: dict[tuple[str, str, str], tuple[int, bool]] = {}
    result = []
    for row in rows:
        for name, condition in CONDITIONS.items():
            key = (name, row["provider"], row["symbol"])
            holds = row["rsi"] is not None and condition(row["rsi"]) and (name != "low" or row["symbol"] == "B")
            before_ts, before = memory.get(key, (0, False))
            if holds and not (before and row["ts"] - before_ts < SPAN):
                result.append((row["offset"], name))
            memory[key] = (row["ts"], holds)
    return result


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rule, ...]:
    file = tmp_path_factory.mktemp("edges") / "rules.yaml"
    rules = [
        rule("high", "rsi > 70", emit="edge"),
        rule("very", "rsi > 75", emit="edge"),
        rule("low", "not rsi > 20", emit="edge", symbols=["B"]),
    ]
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return load_rules(file, NAMES)


@settings(deadline=None)
@given(steps=STEPS, cuts=st.sets(st.integers(1, 40)))
def test_edges_equal_a_plain_loop_whatever_the_cuts_and_restarts(
    edges: tuple[Rule, ...], steps: list[tuple[str, str, int, float | None]], cuts: set[int]
) -> None:
    clock = {"p": 0, "q": 0}
    rows = []
    for offset, (provider, symbol, windows, rsi) in enumerate(steps):
        clock[provider] += windows * WINDOW
        rows.append({"provider": provider, "symbol": symbol, "ts": clock[provider], "rsi": rsi, "offset": offset})
    running, found = RulesEvaluator(edges, SPAN), []
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for start, end in itertools.pairwise(bounds):
        found += running.evaluate(features(rows[start:end])).select("offset", "name").rows()
        state = pickle.dumps(running.snapshot())
        running = RulesEvaluator(edges, SPAN)
        running.restore(pickle.loads(state))
    assert found == oracle(rows)


def test_unknown_features_are_named_with_the_rule_and_the_known_ones(tmp_path: Path) -> None:
    message = refusal(tmp_path, yaml.safe_dump([rule("fine", "rsi > 1"), rule("typo", "momentun > 0.01")]))
    assert message == (
        "rule 'typo': unknown momentun; did you mean momentum?; known: momentum, volatility, rsi, "
        "open, high, low, close, volume, vwap, buy_volume, sell_volume, trades"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a list of rules"),
        ("rules: []", "expected a list of rules"),
        ("- [", "not YAML"),
        ("- just text", "rule 1: Input should be a valid dictionary"),
        ("- {name: a, condition: rsi > 1, score: 1}", "rule 1.signal: Field required"),
        ("- {name: a, condition: rsi > 1, signal: up, score: 1}", "rule 1.signal: Input should be a valid number"),
        ("- {name: a, condition: rsi > 1, signal: .nan, score: 1}", "rule 1.signal: Input should be a finite number"),
        ("- {name: a, condition: rsi > 1, signal: 1, score: 1, emit: never}", "rule 1.emit: Input should be 'every'"),
        ("- {name: a, condition: rsi > 1, signal: 1, score: 1, symbols: []}", "rule 1.symbols: Tuple should have"),
        ("- {name: a, condition: rsi > 1, signal: 1, score: 1, when: 2}", "rule 1: when is not a known key"),
        ("- {name: a, condition: rsi > avg(rsi), signal: 1, score: 1}", "rule 'a': Agg.Mean is not allowed"),
        (
            yaml.safe_dump([rule("a", "rsi > 1"), rule("b", "rsi > 1"), rule("a", "rsi > 2")]),
            "rule 3: another rule is already named 'a'",
        ),
    ],
)
def test_a_rules_file_with_a_mistake_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    assert refusal(tmp_path, content).startswith(message)


def test_a_missing_rules_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InferenceConfigError, match=r"no\.yaml: cannot read the rules: No such file"):
        load_rules(tmp_path / "no.yaml", NAMES)
