"""What differs between two runs, compared with what plain Python finds in their rows."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from sinks.queries import stored
from sinks.queries.selection import Selection
from sinks.runs.diff import Difference, Side, differences, different_rows, features_apart
from sinks.runs.names import LIVE, tables_of
from sinks.schema.migrate import migrate
from tests.sinks.database_rows import bar, batch, feature, signal
from tests.sinks.run_tables import ALL, made, part, window, write

KEYS: Final = {
    "bars_ohlcv": ("provider", "symbol", "interval", "window_start"),
    "features": ("provider", "symbol", "interval", "ts"),
    "signals": ("provider", "symbol", "interval", "ts", "name", "adapter"),
}
LEFT_OUT: Final = {"signal_id", "partition", "source_topic", "source_offset", "source_row"}
SYMBOLS, WINDOWS = "ABCD", 12

Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def random_batch(rng: random.Random) -> Any:
    """Some windows of some symbols, each value one of few, so that rows are often the same."""
    places = [(symbol, k) for symbol in SYMBOLS for k in range(WINDOWS)]

    def some() -> list[tuple[str, int]]:
        return rng.sample(places, rng.randrange(len(places)))

    def value() -> float | None:
        return rng.choice((None, 1.0, -0.0, float("nan")))

    return batch(
        bars=[
            bar(symbol, k, close=rng.choice((9.5, 10.5)), vwap=value(), offset=rng.randrange(99))
            for symbol, k in some()
        ],
        features=[feature(symbol, k, rsi=value(), vol=value()) for symbol, k in some()],
        signals=[
            signal(symbol, k, name=name, score=value(), meta=rng.choice(("{}", '{"price": 1}')))
            for name in ("up", "down")
            for symbol, k in some()
        ],
        names=("rsi", "vol"),
        next_offset=100,
    )


@pytest.mark.parametrize("seed", range(8))
def test_differences_are_those_that_plain_python_finds(database: str, seed: int) -> None:
    rng = random.Random(seed)
    migrate(database, ["rsi", "vol"])
    names = ("rsi", "vol")
    sides = ("a", LIVE) if seed % 2 else ("a", "b")
    made(database, "a", random_batch(rng), names=names)
    if seed % 2:
        write(database, random_batch(rng), names=names)
    else:
        made(database, "b", random_batch(rng), names=names)
    first, last = sorted(rng.sample(range(WINDOWS + 1), 2))
    a, b = (Side(name, part(first, last)) for name in sides)

    expected = [one for table in ALL for one in oracle(database, sides, table, first, last)]
    assert differences(database, a, b, ALL) == expected
    for table in ALL:
        found = different_rows(database, a, b, table, 10_000)
        of_table = [one for one in expected if one.table == table]
        assert found.height == sum(one.only_a + one.only_b + 2 * one.changed for one in of_table)
        assert (found["difference"] == "changed").sum() == sum(2 * one.changed for one in of_table)


def oracle(database: str, sides: tuple[str, str], table: str, first: int, last: int) -> list[Difference]:
    a, b = (rows_of(database, name, table, first, last) for name in sides)
    names = sorted({key[4] for key in a.keys() | b.keys()}) if table == "signals" else [None]
    return [
        Difference(
            table,
            name,
            sum(key not in b for key in a if name in (None, key[-2])),
            sum(key not in a for key in b if name in (None, key[-2])),
            sum(not same(row, b[key]) for key, row in a.items() if key in b and name in (None, key[-2])),
            sum(same(row, b[key]) for key, row in a.items() if key in b and name in (None, key[-2])),
        )
        for name in names
    ]


def rows_of(database: str, name: str, table: str, first: int, last: int) -> Rows:
    """By key, the values of whole windows from the first up to the last; features and signals stand at their end."""
    url = database if name == LIVE else tables_of(database, name)
    at_end = 0 if table == "bars_ohlcv" else 1
    found: Rows = {}
    for row in stored.last(url, Selection(table), 1_000).iter_rows(named=True):
        key = tuple(row.pop(column) for column in KEYS[table])
        if window(first + at_end) <= key[3] < window(last + at_end):
            found[key] = tuple(value for column, value in row.items() if column not in LEFT_OUT)
    return found


def same(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    """As PostgreSQL has it: nulls are the same as each other, and so are what is not a number."""
    return all(x == y or (x != x and y != y) for x, y in zip(left, right, strict=True))


def test_changed_rows_stand_there_as_either_has_them(database: str) -> None:
    migrate(database, ["rsi"])
    made(database, "a", batch(bars=[bar("A", 0), bar("A", 1, close=9.5), bar("A", 2)]))
    made(database, "b", batch(bars=[bar("A", 0), bar("A", 1, close=10.5), bar("B", 0)]))
    a, b = (Side(name, part(None, None)) for name in ("a", "b"))
    rows = different_rows(database, a, b, "bars_ohlcv", 10).select("run", "difference", "symbol", "close").rows()
    assert rows == [
        ("b", "only there", "B", 11.0),
        ("a", "changed", "A", 9.5),
        ("b", "changed", "A", 10.5),
        ("a", "only there", "A", 11.0),
    ]
    assert (
        different_rows(database, a, b, "bars_ohlcv", 2).rows()
        == different_rows(database, a, b, "bars_ohlcv", 9).rows()[:2]
    )


def test_by_what_rules_a_signal_was_made_is_no_difference(database: str) -> None:
    migrate(database, ["rsi"])
    meta = '{{"price": {}, "lineage": {{"sha256": "{}"}}}}'
    made(
        database,
        "a",
        batch(signals=[signal("A", 0, meta=meta.format(1, "a")), signal("A", 1, meta=meta.format(1, "a"))]),
    )
    made(
        database,
        "b",
        batch(signals=[signal("A", 0, meta=meta.format(1, "b")), signal("A", 1, meta=meta.format(2, "b"))]),
    )
    a, b = (Side(name, part(None, None)) for name in ("a", "b"))
    assert differences(database, a, b, ["signals"]) == [Difference("signals", "cross", 0, 0, 1, 1)]


def test_features_that_only_one_has_are_named_and_not_compared(database: str) -> None:
    migrate(database, ["rsi"])
    row = batch(features=[feature("A", 0, rsi=0.5)], names=("rsi",))
    made(database, "a", row, names=("rsi",))
    made(database, "b", batch(features=[feature("A", 0, vol=0.5)], names=("vol",)), names=("vol",))
    a, b = (Side(name, part(None, None)) for name in ("a", "b"))
    assert features_apart(database, a, b) == (["rsi"], ["vol"])
    assert differences(database, a, b, ["features"]) == [Difference("features", None, 0, 0, 0, 1)]
