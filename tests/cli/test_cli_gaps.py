"""`mdp gaps`: the last that is known of each gap."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from codec.encoding import PayloadCodec
from codec.envelopes import EnvelopeDecoder
from contracts.payloads.gap import GAP_V1
from contracts.record import Fetch, Records
from contracts.registry import stored_types
from sinks.merge import message_target
from sinks.timescale import TimescaleWriter
from tests.cli.cli_result import Config, Mdp
from tests.message_log import envelope

BEGIN, END = "2025-10-28T07:14:29.312Z", "2025-10-28T07:14:41Z"


def gap(name: str, symbol: str, number: int, begin: str = BEGIN, **changes: Any) -> bytes:
    """A message about a gap, made in the order of the numbers."""
    content = {
        "gap_id": name,
        "connector": "ccxt",
        "stream": "trades.tick",
        "symbol": symbol,
        "begin": begin,
        "end": END,
        "filled": False,
        "reason": "restart",
        **changes,
    }
    made = f"2025-10-28T07:15:{number:02}Z"
    return envelope(GAP_V1, content, 3 * number, event_time=begin, ingest_time=made, source_id="kraken")


SENT = [
    gap("a", "BTC/USD", 1),
    gap("b", "ETH/USD", 2),
    gap("a", "BTC/USD", 3, filled=True),
    gap("b", "ETH/USD", 4, detail="nothing of it"),
    gap("c", "BTC/USD", 5, begin="2025-10-28T07:14:40Z", reason="sequence", from_sequence=4, to_sequence=9),
    gap("d", "BTC/USD", 6, filled=True),
    gap("d", "BTC/USD", 7, end="2025-10-28T07:15:00Z"),
]


@pytest.fixture
def filled(mdp: Mdp, config: Config, database: str) -> Path:
    path = config(url=database)
    assert mdp("store", "migrate", "--config", path).code == 0
    kinds = stored_types()
    records = Records.of_values(SENT, range(len(SENT)), [0] * len(SENT))
    fetch = Fetch(topic="t", partition=0, next_offset=len(SENT), records=records)
    targets = [message_target(kind) for kind in kinds.values()]
    with closing(TimescaleWriter(database, flow="f", targets=targets)) as writer:
        writer.write([EnvelopeDecoder(kinds, PayloadCodec()).decode_all([fetch])])
    return path


def listed(mdp: Mdp, path: Path, *options: str) -> list[dict[str, Any]]:
    result = mdp("gaps", "--format", "json", "--config", path, *options)
    assert result.code == 0, result.err
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def test_each_gap_is_listed_once_as_its_last_message_has_it(mdp: Mdp, filled: Path) -> None:
    found = {row["gap_id"]: row for row in listed(mdp, filled)}
    assert {name: row["filled"] for name, row in found.items()} == {"a": True, "b": False, "c": False, "d": False}
    assert (found["b"]["detail"], found["c"]["from_sequence"], found["c"]["reason"]) == ("nothing of it", 4, "sequence")


def test_gaps_are_chosen_by_symbol_state_feed_and_time(mdp: Mdp, filled: Path) -> None:
    def names(*options: str) -> list[str]:
        return sorted(row["gap_id"] for row in listed(mdp, filled, *options))

    assert names("--symbol", "ETH/USD") == ["b"]
    assert names("--open") == ["b", "c", "d"]
    assert names("--provider", "binance") == []
    assert names("--from", "2025-10-28T07:14:35Z") == ["c"]
    assert names("--to", "2025-10-28T07:14:35Z", "--symbol", "BTC/USD") == ["a", "d"]


def test_without_the_table_one_line_says_what_to_do(mdp: Mdp, config: Config, database: str) -> None:
    result = mdp("gaps", "--config", config(url=database))
    assert result.code == 2
    assert "mdp store migrate" in result.err
