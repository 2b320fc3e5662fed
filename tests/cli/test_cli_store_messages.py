"""`mdp store trades` and so on: what is stored of each type."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from codec.encoding import PayloadCodec
from codec.envelopes import EnvelopeDecoder
from contracts.payloads.gex_levels import GEX_LEVELS_V1
from contracts.payloads.trades import TRADES_V2
from contracts.record import Fetch, Records
from contracts.registry import stored_types
from mdp.cli.store_messages import OWN
from sinks.merge import message_target
from sinks.queries.selection import command_of
from sinks.timescale import TimescaleWriter
from tests.cli.cli_result import Config, Mdp
from tests.contracts.installed_types import installed
from tests.message_log import envelope

TRADE = {"symbol": "A", "price": 1.5, "size": 2}
LIQUIDATIONS = '''
from typing import Annotated
import msgspec
from contracts.message import MessageType
from contracts.values import Price, Text, about

class Liquidation(msgspec.Struct, kw_only=True):
    """A position that was closed by force."""

    symbol: Annotated[Text, about("What.")]
    price: Annotated[Price, about("At what.")]

LIQUIDATIONS = MessageType(
    name="liquidations", version="1.0.0", struct=Liquidation, event_type="liquidations.tick", table="liquidations",
    examples=({"symbol": "A", "price": 1.0},),
)
'''
ENTRY = "[mdp.contracts]\nliquidations = my_liquidations:LIQUIDATIONS\n"


@pytest.fixture
def filled(mdp: Mdp, config: Config, database: str) -> Path:
    """The config of a database with ten trades and a gamma level."""
    path = config(url=database)
    assert mdp("store", "migrate", "--config", path).code == 0
    values = [envelope(TRADES_V2, {**TRADE, "symbol": "AB"[n % 2], "price": float(n)}, n) for n in range(10)]
    levels = {"symbol": "SPX", "asof": "2025-10-28T13:30:00Z", "zero_gamma": 6645.0}
    store(database, *values, envelope(GEX_LEVELS_V1, levels, 10))
    return path


def store(database: str, *values: bytes) -> None:
    kinds = stored_types()
    records = Records.of_values(values, range(len(values)), [0] * len(values))
    fetch = Fetch(topic="t", partition=0, next_offset=len(values), records=records)
    targets = [message_target(kind) for kind in kinds.values()]
    with closing(TimescaleWriter(database, flow="f", targets=targets)) as writer:
        writer.write([EnvelopeDecoder(kinds, PayloadCodec()).decode_all([fetch])])


def test_each_type_has_its_command() -> None:
    assert set(OWN) == {command_of(str(kind.table)) for kind in stored_types().values()}


def test_the_last_messages_are_printed_oldest_first_as_options_say(mdp: Mdp, filled: Path) -> None:
    result = mdp("store", "trades", "--symbol", "B", "--limit", "3", "--format", "csv", "--config", filled)
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [(row["symbol"], float(row["price"])) for row in rows] == [("B", 5.0), ("B", 7.0), ("B", 9.0)]
    assert "dedupe_key" not in rows[0]
    [level] = json.loads(mdp("store", "gex", "--format", "json", "--config", filled).out)
    assert (level["symbol"], level["zero_gamma"]) == ("SPX", 6645.0)
    span = ("--from", "2025-10-24T14:00:00.035Z", "--to", "2025-10-24T14:00:00.055Z")
    result = mdp("store", "trades", *span, "--provider", "feed1", "--format", "csv", "--config", filled)
    assert [row["price"] for row in csv.DictReader(io.StringIO(result.out))] == ["4.0"]


def test_all_messages_go_to_a_file(mdp: Mdp, filled: Path, tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    result = mdp("store", "trades", "--symbol", "A", "--parquet", path, "--config", filled)
    assert (result.code, pl.read_parquet(path)["price"].to_list()) == (0, [0.0, 2.0, 4.0, 6.0, 8.0])


def test_where_there_is_none_a_line_says_so(mdp: Mdp, filled: Path) -> None:
    assert mdp("store", "trades", "--symbol", "X", "--config", filled).err == "no trades of X\n"
    assert mdp("store", "news", "--config", filled).err == "no news\n"


def test_a_type_of_an_installed_package_has_its_table_and_its_command(
    mdp: Mdp, config: Config, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(url=database)
    with installed(tmp_path, monkeypatch, "my_liquidations", LIQUIDATIONS, ENTRY):
        assert "table liquidations of liquidations/v1" in mdp("store", "migrate", "--config", path).out
        kind = stored_types()["utp://schemas/liquidations/v1"]
        store(database, envelope(kind, {"symbol": "A", "price": 2.5}, 1))
        result = mdp("store", "liquidations", "--format", "csv", "--config", path)
        assert [row["price"] for row in csv.DictReader(io.StringIO(result.out))] == ["2.5"]
    assert mdp("store", "liquidations", "--config", path).code == 2
