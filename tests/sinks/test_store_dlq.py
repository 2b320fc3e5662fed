"""A row that the database refuses is a message in the DLQ, the same one however often it is refused."""

from __future__ import annotations

import uuid

from codec.output_headers import Sender
from contracts.batch import taken_as_read
from contracts.headers import decode_headers
from sinks.merge import targets
from sinks.schema.migrate import migrate
from sinks.store import StoreWriter
from sinks.timescale import TimescaleWriter
from tests.harness import records
from tests.sinks.database_rows import T0, bar, batch
from tests.transports.kafka_outputs import KafkaOutputs


def refuse(database: str, outputs: KafkaOutputs, run: str) -> None:
    writer = TimescaleWriter(database, flow=run, targets=targets(("rsi",)))
    store = StoreWriter(writer, outputs.config, Sender("flow@here", run), taken_as_read, lambda: None)
    bars = [bar(), bar("S" * 5_000, k=1, open=None), bar(k=2, open=None)]
    store.write([batch(bars=bars, partition=1, topic=outputs.config.topic, next_offset=3)])
    store.close()


def test_refused_rows_have_the_headers_of_a_message(database: str, kafka_outputs: KafkaOutputs) -> None:
    migrate(database, ("rsi",))
    for run in ("first", "second"):
        refuse(database, kafka_outputs, run)
    found = records(kafka_outputs.config.brokers, kafka_outputs.config.dlq_topic, without=())
    messages = [decode_headers(list(record.headers)) for record in found]
    assert [headers.run_id for headers in messages] == ["first"] * 2 + ["second"] * 2
    first, second, *again = (headers.message_id for headers in messages)
    assert [first, second] == again
    assert [uuid.UUID(one).int >> 80 for one in (first, second)] == [(T0 + k * 2 * 10**9) // 10**6 for k in (1, 2)]
    assert {headers.schema_fqdn for headers in messages} == {"mdp.store_row.v1"}
    assert {headers.partition_key for headers in messages} == {f"{kafka_outputs.config.topic}[1]"}
    assert {headers.dlq_reason for headers in messages} == {"store"}
