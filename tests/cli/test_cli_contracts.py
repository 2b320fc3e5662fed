import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from contracts.registry import OWN
from contracts.schema_files import RELEASED
from tests.cli.cli_result import Mdp
from tests.contracts.installed_types import installed

HALTS = '''
import msgspec
from contracts.message import MessageType
from contracts.values import Text

class Halt(msgspec.Struct):
    """A halt of trading."""
    symbol: Text

HALTS = MessageType(name="halts", version="1.0.0", struct=Halt, examples=({"symbol": "A"},))
TRADES = MessageType(name="trades", version="2.0.0", struct=Halt, examples=({"symbol": "A"},))
'''


def test_all_types_are_listed(mdp: Mdp) -> None:
    listed = json.loads(mdp("contracts", "list", "--json").out)
    assert {one["type"] for one in listed} == {kind.id for kind in OWN}
    assert {
        "type": "trades/v2",
        "version": "2.0.0",
        "event_type": "trades.tick",
        "table": "trades",
        "schema_ref": "utp://schemas/trades/v2",
    } in listed
    assert "gex/levels/v1" in mdp("contracts", "list").out


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.id)
def test_each_type_is_shown_with_its_fields(mdp: Mdp, kind: object) -> None:
    shown = mdp("contracts", "show", kind.id)  # type: ignore[attr-defined]
    assert (shown.code, shown.err) == (0, "")
    assert all(field.name in shown.out for field in kind.fields)  # type: ignore[attr-defined]


def test_a_type_says_where_it_goes(mdp: Mdp) -> None:
    shown = mdp("contracts", "show", "utp://schemas/trades/v2").out
    assert "Topic: utp.<env>.<realm>.trades.tick" in shown
    assert "Table: trades (event_type text, source_id text, sequence bigint, ts timestamptz" in shown
    assert "currency per unit" in shown


def test_the_schema_that_is_shown_is_the_file(mdp: Mdp) -> None:
    schema = mdp("contracts", "show", "trades/v2", "--json").out
    assert schema == (RELEASED.parent / "schemas" / "trades-v2.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(schema))


def test_a_type_that_is_not_there_is_one_line(mdp: Mdp) -> None:
    result = mdp("contracts", "show", "trades/v3")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: no message type is called 'trades/v3'; did you mean trades/v2?\n"


def test_released_schemas_hold(mdp: Mdp) -> None:
    result = mdp("contracts", "check")
    assert (result.code, result.out, result.err) == (0, f"{len(OWN)} released schemas hold\n", "")


def test_what_breaks_a_released_schema_is_told_in_a_line_each(mdp: Mdp, tmp_path: Path) -> None:
    folder = shutil.copytree(RELEASED, tmp_path / "released")
    released = json.loads((folder / "trades-v2.json").read_text())
    released["properties"]["condition"] = {"type": "string"}
    released["properties"]["price"]["x-unit"] = "cents"
    (folder / "trades-v2.json").write_text(json.dumps(released))
    (folder / "orders-v1.json").write_text(json.dumps({"title": "orders/v1"}))
    result = mdp("contracts", "check", "--against", folder)
    assert (result.code, result.out) == (2, "")
    assert sorted(result.err.splitlines()) == [
        "error: orders/v1 was released, and is gone: keep it for those who send it",
        "error: trades/v2: condition is gone: it was removed or renamed",
        "error: trades/v2: price has another unit: currency per unit, and had cents",
    ]


@pytest.mark.parametrize("content", [None, "[]", "{", "{}"])
def test_a_folder_without_schemas_is_one_line(mdp: Mdp, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    result = mdp("contracts", "check", "--against", tmp_path)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_a_type_of_an_installed_package_is_listed_and_one_that_is_there_already_refused(
    mdp: Mdp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(tmp_path, monkeypatch, "halt_types", HALTS, "[mdp.contracts]\nhalts = halt_types:HALTS\n"):
        assert "halts/v1" in mdp("contracts", "list").out
        file = tmp_path / "halts.csv"
        file.write_text("symbol\nSPY\n\n" + "Q" * 300 + "\n")
        checked = json.loads(mdp("validate", "--file", file, "--contract", "halts/v1", "--json").out)
        assert (checked["valid"], checked["invalid"]) == (1, 1)
    (tmp_path / "twice").mkdir()
    twice = "[mdp.contracts]\ntrades = twice_types:TRADES\n"
    with installed(tmp_path / "twice", monkeypatch, "twice_types", HALTS, twice):
        result = mdp("contracts", "list")
        assert (result.code, result.out) == (2, "")
        assert result.err == "error: message type trades/v2 is declared twice: by mdp and by twice-types\n"
