"""What a fix sees of an event, however it was written, and what it may answer."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from codec.encode import encode
from contracts.record import ARROW, MSGPACK
from mdp.ops.dlq.fixes import FixError, as_json, by_entry_point, by_jq

BIG = 2**53 + 1
FUNCTIONS = """
def rename(event):
    event["symbol"] = event.pop("ticker")
    return event

def only_spy(event):
    return event if event.get("symbol") == "SPY" else None
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with two fixes."""
    (tmp_path / "my_fixes.py").write_text(FUNCTIONS)
    folder = tmp_path / "my_fixes-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: my-fixes\nVersion: 1.0\n")
    lines = ["[mdp.fixes]", "rename = my_fixes:rename", "only_spy = my_fixes:only_spy", "gone = my_fixes:gone"]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_fixes", None)


def fixed(expression: str, event: Any) -> Any:
    text = by_jq(expression)(json.dumps(event).encode())
    return None if text is None else json.loads(text)


def test_jq_changes_what_it_names_and_leaves_numbers_that_no_double_holds() -> None:
    event = {"seq": BIG, "v": "1.5", "deep": {"n": BIG}, "c": 648.7813000000001, "big": 1e300}
    assert fixed(".v |= tonumber", event) == {**event, "v": 1.5}
    assert fixed(".seq += 2", event)["seq"] == pytest.approx(BIG + 2, abs=2)
    assert fixed("{seq, flag: .v}", event) == {"seq": BIG, "flag": "1.5"}
    assert fixed(".one = true", {"one": 1})["one"] is True


def test_no_result_of_jq_leaves_an_event_alone() -> None:
    assert fixed('select(.symbol == "SPY")', {"symbol": "QQQ"}) is None


@pytest.mark.parametrize(
    ("expression", "text"), [(".a, .b", b'{"a": {}, "b": {}}'), (".a", b'{"a": 1}'), (".", b"junk"), ("error", b"{}")]
)
def test_what_jq_cannot_mend_is_a_fault_of_the_record(expression: str, text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+") as error:
        by_jq(expression)(text)
    assert not isinstance(error.value, FixError)


def test_what_is_no_jq_program_is_refused_in_one_line() -> None:
    with pytest.raises(FixError, match=r"^--fix is not a valid jq program: .*$"):
        by_jq(".c |")


@pytest.mark.usefixtures("_installed")
def test_an_installed_function_mends_events_and_may_leave_some() -> None:
    assert json.loads(by_entry_point("rename")(b'{"ticker": "SPY", "seq": 9007199254740993}') or b"") == {
        "symbol": "SPY",
        "seq": BIG,
    }
    assert by_entry_point("only_spy")(b'{"symbol": "QQQ"}') is None
    with pytest.raises(ValueError, match="KeyError: 'ticker'"):
        by_entry_point("rename")(b"{}")


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "known: gone, only_spy, rename"), ("gone", "cannot import my_fixes:gone")]
)
def test_a_function_that_is_not_there_is_refused_in_one_line(name: str, words: str) -> None:
    with pytest.raises(FixError, match=words):
        by_entry_point(name)


def test_messagepack_and_rows_of_arrow_are_seen_as_json() -> None:
    event = {"symbol": "SPY", "c": 1.5, "seq": BIG}
    assert json.loads(as_json(msgspec.msgpack.encode(event), MSGPACK)) == event
    rows = pl.DataFrame({**event, "kind": "tick", "provider": "p", "src_ts": 1_761_314_400_000_000_001, "v": -1.0})
    (stream,) = encode(rows, "arrow")
    seen = json.loads(as_json(stream, ARROW))
    assert seen == {**event, "kind": "tick", "provider": "p", "src_ts": "2025-10-24T14:00:00.000000001Z", "v": -1.0}


@pytest.mark.parametrize("payload", [None, b""])
def test_where_there_is_nothing_there_is_nothing_to_mend(payload: bytes | None) -> None:
    with pytest.raises(ValueError, match="no event"):
        as_json(payload, None)
