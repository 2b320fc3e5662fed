"""Arrow records of any type, and what would become large, through a whole flow: what does not pass can be had again."""

import json
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Producer

from codec.refused import rows_in
from codec.stubs import Body
from contracts.record import Headers
from tests.codec.arrow_types import Typed, records
from tests.codec.bombs import BOMBS
from tests.codec.stored_records import Stored, as_arrow
from tests.harness import Deployment, Deployments, Record, create_topic

START = 1_761_314_400  # seconds; a whole window
LAST = 121  # when records of any type have their ticks
ROWS = 330  # of which every third is bad, or late
TYPED = 60


class Log(NamedTuple):
    """What was sent, and the offsets of the records that are about many rows."""

    sent: list[Stored]
    bad: int
    late: int


def tick(seconds: int, provider: str = "good") -> Stored:
    time = f"2025-10-24T14:{seconds // 60:02}:{seconds % 60:02}Z"
    event = {"ver": 1, "provider": provider, "symbol": "GOOD", "kind": "tick", "src_ts": time, "c": 1, "v": 1}
    return Stored(json.dumps(event).encode())


def ticks(seconds: list[int], volumes: list[float]) -> Stored:
    times = pa.array([(START + second) * 10**9 for second in seconds], pa.timestamp("ns", "UTC"))
    same = {name: [value] * ROWS for name, value in {"provider": "arrow", "symbol": "ARROW", "kind": "tick"}.items()}
    return as_arrow(pa.table({**same, "src_ts": times, "c": np.ones(ROWS), "v": volumes}))


@pytest.fixture(scope="module")
def log() -> Log:
    third = [row % 3 == 1 for row in range(ROWS)]
    sent = [record for bomb in BOMBS.values() for record in (tick(0), bomb())]
    sent += [tick(0), ticks([0] * ROWS, [-1.0 if bad else 1.0 for bad in third])]
    bad = len(sent) - 1
    sent += [tick(LAST, "arrow"), ticks([1 if late else LAST for late in third], [1.0] * ROWS)]
    typed: list[Typed] = [one for one in records(3, TYPED) if one.table is not None]
    late = len(sent) - 1
    return Log([*sent, *(record for one in typed for record in (tick(LAST), one.stored))], bad, late)


@pytest.fixture(scope="module")
def after(deploy: Deployments, log: Log) -> Deployment:
    """All of it on one partition, and run to the end."""
    events = create_topic(deploy.stack.kafka.bootstrap, "arrow", 1, max_message_bytes="4200000")
    producer = Producer({"bootstrap.servers": deploy.stack.kafka.bootstrap, "message.max.bytes": 4_200_000})
    for record in log.sent:
        headers: Headers | None = None if record.content_type is None else [("content-type", record.content_type)]
        producer.produce(events, record.payload, b"key", 0, headers=headers)
    assert producer.flush(60) == 0
    deployment = deploy(events, partitions=1, name="arrow")
    deployment.run()
    return deployment


def test_every_row_is_accounted_for(after: Deployment, log: Log) -> None:
    ((rejected, late),) = after.query("SELECT rejected, late FROM progress")
    good = sum(record.content_type is None and b"GOOD" in (record.payload or b"") for record in log.sent)
    assert after.query("SELECT sum(trades)::bigint FROM bars_ohlcv WHERE symbol = 'GOOD'") == [(good,)]
    assert (rejected, late) == (rows_of(after.records("dlq")), rows_of(after.records("late")))
    assert after.query("SELECT sum(trades)::bigint FROM bars_ohlcv WHERE symbol = 'ARROW'") == [(ROWS * 4 // 3,)]


def rows_of(found: list[Record]) -> int:
    sets = [dict(record.headers).get("source_rows") for record in found]
    return sum(1 if rows is None else len(rows_in(rows)) for rows in sets)


def test_what_would_become_large_is_in_the_dlq_as_it_came_or_as_its_beginning(after: Deployment, log: Log) -> None:
    found = {int(record.header("source_offset")): record.value for record in after.records("dlq")}
    for offset, (name, record) in enumerate(zip(BOMBS, log.sent[1 : 2 * len(BOMBS) : 2], strict=True)):
        if name != "batches without rows":
            assert found[2 * offset + 1] == Body.of(None, record.payload).value, name


def test_rows_that_a_record_names_are_sent_again_without_the_others(after: Deployment, log: Log) -> None:
    (before,) = (record for record in after.records("dlq") if record.header("source_offset") == str(log.bad))
    assert before.value == log.sent[log.bad].payload
    code, said = after.mdp("dlq", "redrive", "--contains", f"first of {ROWS // 3} rows", "--json")
    assert (code, json.loads(said)["sent"]) == (0, 1)
    after.run()
    again = after.records("dlq")[-1]
    rows = pa.ipc.open_stream(again.value).read_all()
    assert rows.column("v").to_pylist() == [-1.0] * (ROWS // 3)
    assert dict(again.headers)["source_rows"] is not None


def test_late_rows_that_a_record_names_are_repaired_and_no_others(after: Deployment, log: Log) -> None:
    (late,) = after.query("SELECT late FROM progress")
    code, said = after.mdp("late", "repair", "--json")
    assert (code, json.loads(said)["late_events"]) == (0, late[0])
    ((trades,),) = after.query("SELECT trades FROM bars_ohlcv WHERE symbol = 'ARROW' ORDER BY window_start LIMIT 1")
    assert trades == ROWS
