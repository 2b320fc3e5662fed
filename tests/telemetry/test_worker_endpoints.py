"""/metrics, /health and /ready of real workers, over a real market, while Kafka and PostgreSQL come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from mdp.local import LocalStack
from tests.forked import Process
from tests.harness import Deployment, Deployments, until
from tests.market import FEATURES, PARTITIONS, RULES, market_topic
from tests.telemetry.endpoints import Endpoints, free_ports

SECONDS = 5.0  # in which a service that has gone must be noticed
EVENTS = 30_000
STOP_SECONDS = 10.0

OF_THE_SOURCE_DOCUMENT = {
    "stream_events_ingested_total": ("counter", {"bus", "topic", "provider"}),
    "stream_consumer_lag_ms": ("gauge", {"topic", "group", "consumer"}),
    "microbatch_flush_total": ("counter", {"window_ms", "symbol"}),
    "microbatch_flush_rows": ("counter", {"window_ms"}),
    "microbatch_window_latency_ms": ("histogram", set()),
    "store_write_duration_seconds": ("histogram", {"table"}),
    "features_update_duration_seconds": ("histogram", {"symbol", "window"}),
    "inference_eval_duration_seconds": ("histogram", {"adapter"}),
    "signals_emitted_total": ("counter", {"name", "adapter"}),
    "errors_total": ("counter", {"component", "reason"}),
}
OURS = {
    "stream_provider_last_event_timestamp_seconds": ("gauge", {"provider"}),
    "stream_provider_max_silence_seconds": ("gauge", {"provider"}),
    "microbatch_window_ms": ("gauge", set()),
    "stream_partition_events": ("gauge", {"topic", "partition", "outcome"}),
    "stream_watermark_delay_seconds": ("gauge", {"topic", "partition"}),
    "stream_consumer_lag_offsets": ("gauge", {"topic", "partition"}),
    "stream_state_bytes": ("gauge", {"step", "partition"}),
    "stream_snapshot_duration_seconds": ("histogram", {"step"}),
    "sink_queue_depth": ("gauge", {"sink"}),
    "stream_end_to_end_latency_seconds": ("histogram", {"until"}),
    "stream_latency_seconds": ("histogram", {"until"}),
    "stream_step_cpu_seconds_total": ("counter", {"step"}),
    "stream_waiting": ("gauge", {"service"}),
    "store_last_flush_timestamp_seconds": ("gauge", set()),
    "dlq_records_total": ("counter", {"reason"}),
    "bus_consumed_total": ("counter", {"topic", "consumer"}),
    "bus_produced_total": ("counter", {"topic", "producer"}),
    "bus_batch_size_bytes": ("histogram", {"topic"}),
    "bus_delivery_latency_ms": ("histogram", {"topic"}),
}


class Running(NamedTuple):
    flow: Deployment
    worker: Process
    endpoints: Endpoints


@pytest.fixture(scope="module")
def running(deploy: Deployments) -> Iterator[Running]:
    """A live worker that has worked through a market and taken a snapshot, while nothing flows any more."""
    flow = deploy(
        market_topic(deploy.stack.kafka.bootstrap, EVENTS), partitions=PARTITIONS, rules=RULES, features=FEATURES
    )
    endpoints = Endpoints(free_ports(1))
    telemetry = [f"metrics_port={endpoints.port}", "log_format=json", "max_silence_s={feed: 60}"]
    worker = flow.start(*(f"telemetry.{setting}" for setting in telemetry))
    until(lambda: endpoints.is_ready or worker.poll() is not None, "a worker that is ready")
    assert worker.poll() is None, flow.said.read_text()
    until(flow.has_caught_up, "all of the log")
    until(lambda: endpoints.total("stream_state_bytes") and not endpoints.total("sink_queue_depth"), "a snapshot")
    yield Running(flow, worker, endpoints)
    worker.terminate()
    assert worker.wait(STOP_SECONDS) == 0, flow.said.read_text()


@pytest.fixture
def whole_stack(stack: LocalStack) -> Iterator[LocalStack]:
    """Whatever becomes of a test, the next one finds both services."""
    yield stack
    stack.up()


def test_each_metric_of_the_source_document_is_there_with_its_type_and_labels(running: Running) -> None:
    found = running.endpoints.metrics()
    for name, (kind, labels) in (OF_THE_SOURCE_DOCUMENT | OURS).items():
        family = found[name.removesuffix("_total")]
        assert family.type == kind, name
        assert {frozenset(sample.labels) - {"le"} for sample in family.samples} == {frozenset(labels)}, name


def test_the_names_in_the_text_are_those_of_the_source_document(running: Running) -> None:
    """The parser hides whether a counter ends with _total."""
    status, text = running.endpoints.get("/metrics")
    assert status == 200
    lines = text.splitlines()
    for name, (kind, labels) in OF_THE_SOURCE_DOCUMENT.items():
        assert f"# TYPE {name} {kind}" in lines
        suffix = "_count" if kind == "histogram" else ""
        assert any(line.startswith(f"{name}{suffix}{'{' if labels else ' '}") for line in lines), name
    assert not any("_created" in line for line in lines)


def test_series_are_few_and_none_is_of_a_symbol(running: Running) -> None:
    series = [sample for family in running.endpoints.metrics().values() for sample in family.samples]
    assert len(series) < 700
    assert {sample.labels.get("symbol", "*") for sample in series} == {"*"}


def test_the_numbers_are_those_of_the_log_and_the_database(running: Running) -> None:
    flow, total = running.flow, running.endpoints.total
    counts = ("accepted", "amending", "duplicate", "late", "rejected")
    (stored,) = flow.query(
        "SELECT sum(accepted), sum(amending), sum(duplicate), sum(late), sum(rejected) FROM progress"
    )
    assert [total("stream_partition_events", outcome=outcome) for outcome in counts] == [float(n) for n in stored]
    assert total("stream_events_ingested") == sum(stored)
    assert total("stream_events_ingested", provider="unknown") == stored[-1] == total("dlq_records")
    backlog = ("stream_consumer_lag_offsets", "stream_consumer_lag_ms", "sink_queue_depth")
    until(lambda: not any(map(total, backlog)), "the end of the backlog")  # heartbeats may still come
    assert total("signals_emitted") == len(flow.records("signals"))
    for kind in ("signals", "dlq", "late"):
        assert total("bus_produced", topic=flow.topics[kind]) == len(flow.records(kind))
    until(lambda: total("bus_consumed", topic=flow.events) == flow.progress, "progress up to what was read")
    ((windows,),) = flow.query("SELECT count(*) FROM (SELECT DISTINCT partition, window_end FROM bars_ohlcv) AS w")
    assert 0 < total("microbatch_window_latency_ms") <= windows
    assert (
        0
        < total("stream_end_to_end_latency_seconds", until="kafka")
        <= total("stream_end_to_end_latency_seconds", until="timescale")
    )
    for step in ("windows", "rolling", "inference"):
        assert total("stream_state_bytes", step=step) > 0
    for step in ("windows", "rolling", "inference", "timescale", "kafka"):
        assert total("stream_snapshot_duration_seconds", step=step) > 0


def test_what_is_not_there_is_said_to_be_not(running: Running) -> None:
    status, text = running.endpoints.get("/other")
    assert status == 404
    assert "/metrics, /health, /ready" in text


@pytest.mark.slow
def test_a_service_that_is_gone_is_why_an_idle_worker_is_not_ready_until_it_is_back(
    running: Running, whole_stack: LocalStack
) -> None:
    endpoints = running.endpoints
    for service, server in (("the database", whole_stack.postgres), ("Kafka", whole_stack.kafka)):
        assert endpoints.is_ready
        server.kill()
        until(partial(_is_missed, endpoints, service), service, SECONDS)
        assert endpoints.judged("/health") == (200, {"alive": True, "reasons": []})
        server.start()
        until(lambda: endpoints.is_ready, f"{service} within reach")


def _is_missed(endpoints: Endpoints, service: str) -> bool:
    return any(service in why for why in endpoints.obstacles())


def test_log_lines_are_json_and_one_for_each_incident(running: Running, whole_stack: LocalStack) -> None:
    before = len(_lines(running.flow))
    whole_stack.postgres.kill()
    until(lambda: len(_lines(running.flow)) > before, "a line of the log")
    whole_stack.postgres.start()
    until(lambda: len(_lines(running.flow)) > before + 1, "another")
    gone, back = _lines(running.flow)[before:]
    assert gone["service"] == back["service"] == "the database"
    assert gone["level"] == "warning"
    assert {"timestamp", "event", "reason", "logger"} <= gone.keys()
    assert back["seconds"] > 0


def _lines(flow: Deployment) -> list[dict[str, Any]]:
    return [json.loads(line) for line in flow.said.read_text().splitlines() if line]


def test_the_workers_of_a_cluster_serve_on_ports_of_their_own(deploy: Deployments) -> None:
    flow = deploy(market_topic(deploy.stack.kafka.bootstrap, 100), partitions=PARTITIONS, name="two")
    first = free_ports(2)
    cluster = flow.start(f"telemetry.metrics_port={first}", workers=2)
    workers = [Endpoints(first), Endpoints(first + 1)]
    until(lambda: cluster.poll() is not None or all(worker.is_ready for worker in workers), "two workers")
    assert cluster.poll() is None, flow.said.read_text()
    mine, theirs = (
        {sample.labels["partition"] for sample in worker.metrics()["stream_consumer_lag_offsets"].samples}
        for worker in workers
    )
    assert mine | theirs == {str(partition) for partition in range(PARTITIONS)}
    assert not mine & theirs
    cluster.terminate()
    flow.ends_well(cluster)


def test_a_worker_that_waits_for_the_database_to_begin_says_so_and_is_alive(
    deploy: Deployments, whole_stack: LocalStack
) -> None:
    flow = deploy(market_topic(deploy.stack.kafka.bootstrap, 100), partitions=PARTITIONS, name="waits")
    flow.run()
    whole_stack.postgres.kill()
    endpoints = Endpoints(free_ports(1))
    worker = flow.start(f"telemetry.metrics_port={endpoints.port}")
    until(lambda: endpoints.judged("/ready")[0] == 503, "a page")
    assert endpoints.judged("/health")[0] == 200
    nothing, why = endpoints.obstacles()
    assert nothing == "no partition is assigned"
    assert why.startswith("the database is not available: ")
    whole_stack.postgres.start()
    until(lambda: endpoints.is_ready, "a worker that is ready")
    worker.terminate()
    flow.ends_well(worker)
