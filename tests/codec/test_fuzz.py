"""Whatever a topic holds, each record is accepted as what the contract allows or rejected with a reason.

`FUZZ_RECORDS=1000000 FUZZ_SEED=7 make test ARGS=tests/codec/test_fuzz.py` goes on for longer, elsewhere.
"""

from __future__ import annotations

import math
import os
from itertools import islice
from typing import Any

from contracts.batch import MicroBatch
from contracts.record import is_arrow
from tests.codec.mutations import records
from tests.codec.stored_records import Stored, decode

RECORDS = int(os.environ.get("FUZZ_RECORDS", "40000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
REASONS = {"undecodable", "contract", "future"}
KINDS = {"tick", "bar", "heartbeat"}
YEAR = 366 * 86_400 * 10**9


def test_every_record_is_accepted_or_rejected_with_a_reason() -> None:
    accepted = rejected = 0
    coming = records(SEED, RECORDS)
    while batch := list(islice(coming, 5_000)):
        made = decode(*batch)
        assert_all_accounted_for(batch, made)
        accepted, rejected = accepted + made.events.height, rejected + made.rejects.height
    assert accepted > RECORDS / 10
    assert rejected > RECORDS / 10


def assert_all_accounted_for(sent: list[Stored], made: MicroBatch) -> None:
    for row in made.events.iter_rows(named=True):
        assert keeps_the_contract(row), (SEED, row)
    for offset, reason, error, value in made.rejects.select("offset", "reason", "error", "value").iter_rows():
        assert reason in REASONS, (SEED, reason)
        assert error, (SEED, offset)
        assert is_arrow(value) or value == sent[offset].payload, (SEED, offset)
    found = made.events["offset"].to_list() + made.rejects["offset"].to_list()
    single = {place for place, record in enumerate(sent) if not is_arrow(record.payload)}
    once = [offset for offset in found if offset in single]
    assert len(once) == len(set(once)) == len(single), SEED  # each exactly once
    assert made.outcomes.rejected == made.rejects.height


def keeps_the_contract(event: dict[str, Any]) -> bool:
    if event["kind"] not in KINDS or not is_text(event["provider"]) or abs(event["src_ts"]) > 2**63 - 1 - YEAR:
        return False
    if event["kind"] == "heartbeat":  # nothing else of it is used
        return True
    numbers = [event[name] for name in ("ohlcv" if event["kind"] == "bar" else "cv")]
    return (
        is_text(event["symbol"])
        and all(number is not None and math.isfinite(number) for number in numbers)
        and all(abs(number) <= 1e15 for number in numbers[:-1])
        and 0 <= event["v"] <= 1e18
        and (event["kind"] == "tick" or event["l"] <= min(event["o"], event["c"]))
        and (event["kind"] == "tick" or event["h"] >= max(event["o"], event["c"]))
    )


def is_text(text: str | None) -> bool:
    return text is not None and 0 < len(text.encode()) <= 256 and "\0" not in text
