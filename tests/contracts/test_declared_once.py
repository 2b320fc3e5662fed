"""The fields of Event v1 stand in its declaration; what else names them is derived from it, or fails to be imported."""

from __future__ import annotations

import ast
from pathlib import Path

import polars as pl
import pytest

from contracts.event import TICK, WIRE, Event, scanned
from contracts.frames import BARS, EVENTS, SIGNALS
from tests.harness import PACKAGES

PROJECT = Path(__file__).resolve().parents[2]
FIELDS = set(Event.__struct_fields__)
MANY = 6


def named(node: ast.AST) -> set[object]:
    """The texts that a literal or a call holds, or the fields of a class."""
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Call(args=parts):
            return {part.value for part in parts if isinstance(part, ast.Constant)}
        case ast.Dict(keys=keys):
            return {key.value for key in keys if isinstance(key, ast.Constant)}
        case ast.ClassDef(body=body):
            return {
                one.target.id for one in body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            }
        case _:
            return set()


def test_nobody_lists_the_fields_of_an_event_by_hand() -> None:
    found = {
        (file.relative_to(PROJECT).as_posix(), type(node).__name__)
        for package in PACKAGES
        for file in (PROJECT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if len(named(node) & FIELDS) >= MANY
    }
    assert found == {
        ("contracts/event.py", "ClassDef"),
        ("contracts/event.py", "Dict"),  # its examples
        ("native/arrow_layout.py", "Call"),  # `scanned`: checked when it is imported
        ("native/arrow_scan.py", "ClassDef"),
        ("mdp/cli/entries.py", "Tuple"),  # what people are shown, in which order
    }


@pytest.mark.parametrize("names", [TICK[1:], (*TICK, "venue"), ()])
def test_a_scanner_that_reads_other_fields_than_are_declared_does_not_start(names: tuple[str, ...]) -> None:
    assert scanned(*reversed(TICK)) == tuple(reversed(TICK))
    with pytest.raises(ValueError, match=r"a scanner reads .* and a tick has provider, symbol"):
        scanned(*names)


def test_what_is_derived_is_what_it_was_when_it_was_written_by_hand() -> None:
    text, whole, number = pl.String(), pl.Int64(), pl.Float64()
    assert " ".join(WIRE) == "provider symbol kind interval src_ts ingest_ts o h l c v seq event_id"
    assert " ".join(EVENTS) == "record offset row provider symbol kind src_ts o h l c v seq event_id side"
    key, sums = "provider symbol interval window_start window_end", "volume vwap buy_volume sell_volume trades"
    bar = f"{key} open high low close {sums} revision offset row"
    assert " ".join(BARS) == bar
    assert " ".join(SIGNALS) == "signal_id provider symbol interval ts name value score adapter meta offset row"
    assert (WIRE["src_ts"], EVENTS["c"], BARS["revision"], SIGNALS["meta"]) == (whole, number, whole, text)
