from pathlib import Path

import pytest

from contracts.fields import ContractError
from contracts.payloads.trades import TRADES_V2
from contracts.registry import message_type, message_types
from tests.contracts.installed_types import installed

SOURCE = '''
import msgspec
from contracts.message import MessageType
from contracts.values import Price, Text, Time

class Halt(msgspec.Struct):
    """A halt of trading."""
    symbol: Text

class Clashing(msgspec.Struct):
    """What the envelope says, too."""
    ts: Time

HALTS = MessageType(name="halts", version="1.0.0", struct=Halt, event_type="halts.item", examples=({"symbol": "A"},))
TRADES = MessageType(name="trades", version="2.5.0", struct=Halt, examples=({"symbol": "A"},))
CLASH = MessageType(name="clash", version="1.0.0", struct=Clashing, event_type="clash", examples=({"ts": "t"},))
WRONG = MessageType
'''


def test_a_reference_finds_the_type() -> None:
    assert message_type("utp://schemas/trades/v2") is TRADES_V2
    assert message_type("trades/v2") is TRADES_V2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("trade/v2", r"no message type is called 'trade/v2'; did you mean trades/v2\?"),
        ("utp://schemas/quotes/v1", r"did you mean quotes/v2\?"),
        ("x", "there are events/v1, bars/v1"),
    ],
)
def test_a_name_that_is_not_known_is_told_with_the_nearest(name: str, error: str) -> None:
    with pytest.raises(ContractError, match=error):
        message_type(name)


def test_types_of_installed_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(tmp_path, monkeypatch, "desk_types", SOURCE, "[mdp.contracts]\nhalts = desk_types:HALTS\n"):
        assert message_type("halts/v1").topic("dev", "desk") == "utp.dev.desk.halts.item"
    assert "halts/v1" not in message_types()


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ("trades = desk_types:TRADES", "message type trades/v2 is declared twice: by mdp and by desk-types"),
        ("a = desk_types:HALTS\nb = desk_types:HALTS", "halts/v1 is declared twice: by desk-types and by desk-types"),
        ("halts = desk_types:GONE", "message type halts of desk-types: cannot import desk_types:GONE"),
        ("halts = desk_typos:HALTS", "cannot import desk_typos:HALTS"),
        ("halts = desk_types:WRONG", "desk_types:WRONG is no MessageType"),
        ("clash = desk_types:CLASH", "clash/v1: ts is a column of every envelope"),
    ],
)
def test_what_is_wrong_with_an_installed_type_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, error: str
) -> None:
    with (
        installed(tmp_path, monkeypatch, "desk_types", SOURCE, f"[mdp.contracts]\n{entry}\n"),
        pytest.raises(ContractError, match=error),
    ):
        message_types()
