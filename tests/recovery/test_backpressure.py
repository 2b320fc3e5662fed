"""A database that has become slow holds the flow back: the backlog stays in Kafka, and memory does not grow."""

import urllib.request

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from mdp.local import ports
from tests.harness import Deployments, until
from tests.market import PARTITIONS, market_topic

BATCH = 500
WAITING = 16 + 16 + PARTITIONS  # micro-batches that wait for a writer, are being written, or are being made
MOST_MEMORY = 600 * 2**20

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE TRIGGER slow AFTER INSERT ON bars_ohlcv EXECUTE FUNCTION slow();
"""


def test_a_slow_database_holds_the_flow_back(deploy: Deployments) -> None:
    flow = deploy(market_topic(deploy.stack.kafka.bootstrap, 100_000, rate=5_000.0), partitions=PARTITIONS)
    assert flow.mdp("store", "migrate")[0] == 0
    with psycopg.connect(flow.database) as connection:
        connection.execute(SLOW)
    (port,) = ports.choose(range(21_000, 22_000), 1)

    def metrics(name: str) -> float:
        with urllib.request.urlopen(f"http://{ports.HOST}:{port}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def comes_to(offsets: float) -> None:
        until(lambda: flow.progress > offsets, "some progress")

    worker = flow.start(f"telemetry.metrics_port={port}", f"micro_batch.max_batch_size={BATCH}", "run.until_end=true")
    for share in (0.1, 0.2, 0.3):
        comes_to(share * 100_000)
        written = flow.progress
        assert metrics("stream_partition_events") - written < WAITING * BATCH + PARTITIONS * BATCH
        assert metrics("process_resident_memory_bytes") < MOST_MEMORY
    with psycopg.connect(flow.database) as connection:
        connection.execute("DROP TRIGGER slow ON bars_ohlcv")
    flow.ends_well(worker)
    assert flow.progress > 100_000
