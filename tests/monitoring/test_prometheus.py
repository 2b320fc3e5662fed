"""A real Prometheus watches a running cluster: rules give values, and panels show something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

import telemetry.metrics
from mdp.local import ports
from tests.forked import Process
from tests.harness import Deployment, Deployments, kill, until
from tests.monitoring.monitoring_servers import AlertmanagerServer, PrometheusServer
from tests.monitoring.promql import BOARDS, board_queries, rules

RUNBOOKS = "https://wiki.example/mdp/operations"
WELL = 60.0  # seconds within which everything shows
WINDOWS = {"window_ms": 1000, "allow_late_ms": 200, "amend_ms": 500, "flush_timeout_ms": 500}
FEATURES = {"windows": [{"name": "vwap_2s", "horizon": "2s"}]}
RULES = [{"name": "always", "condition": "close > 0", "signal": 1.0, "score": 1.0}]
MARKET = ["--symbols", "20", "--rate", "500", "--malformed", "0.02", "--out-of-order", "0.05", "--max-delay", "4000"]
PRODUCE = ["stream", "produce", "--provider", "synthetic", *MARKET]

# (file, panel) in which nothing shows while all is well.
QUIET = {
    ("errors", "Alerts"),
    ("errors", "Not read"),
    ("errors", "Errors"),
    ("errors", "Waiting for a service"),
    ("inference", "Circuit breaker"),
    ("inference", "Failures"),
}


@pytest.fixture(scope="module")
def cluster(deploy: Deployments) -> Iterator[tuple[Deployment, Process, list[str]]]:
    """Two workers in a market with malformed and late events; their addresses."""
    [port] = ports.choose(range(18_000, 20_000, 2), 1)
    deployment = deploy(
        partitions=2,
        rules=RULES,
        name="watched",
        micro_batch=WINDOWS,
        features=FEATURES,
        telemetry={"metrics_port": port, "max_silence_s": {"synthetic": 5}},
    )
    workers = deployment.start(workers=2)
    deployment.command(*PRODUCE)
    yield deployment, workers, [f"{ports.HOST}:{each}" for each in (port, port + 1)]
    deployment.stop()


@pytest.fixture(scope="module")
def alertmanager(
    debian_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AlertmanagerServer]:
    folder = tmp_path_factory.mktemp("alertmanager")
    with AlertmanagerServer(debian_program("prometheus-alertmanager"), folder) as server:
        yield server


@pytest.fixture(scope="module")
def prometheus(
    cluster: tuple[Deployment, Process, list[str]],
    alertmanager: AlertmanagerServer,
    debian_program: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("prometheus")
    with PrometheusServer(debian_program("prometheus"), folder, cluster[2], alertmanager, RUNBOOKS) as server:
        yield server


def test_both_workers_are_up_and_all_rules_can_be_evaluated(prometheus: PrometheusServer) -> None:
    until(lambda: prometheus.values('up{job="mdp"}') == [1, 1], "both workers", WELL)
    until(lambda: {rule["health"] for rule in all_rules(prometheus)} == {"ok"}, "all rules", WELL)
    assert len(all_rules(prometheus)) == len(rules("recording.yml")) + len(rules("alerts.yml"))


def test_metrics_have_the_types_that_they_are_declared_with(prometheus: PrometheusServer) -> None:
    until(lambda: prometheus.values('up{job="mdp"}') == [1, 1], "both workers", WELL)
    served = prometheus.get("metadata")
    for metric in vars(telemetry.metrics).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            bare = family.type != "counter" or family.name in telemetry.metrics.BARE
            [metadata] = served[family.name if bare else f"{family.name}_total"]
            assert metadata["type"] == family.type


@pytest.mark.parametrize("name", [rule["record"] for rule in rules("recording.yml")])
def test_a_recording_rule_gives_values(name: str, prometheus: PrometheusServer) -> None:
    until(lambda: prometheus.values(name), name, WELL)


@pytest.mark.parametrize("board", BOARDS, ids=lambda file: file.stem)
def test_every_panel_shows_something_but_those_of_faults(board: Path, prometheus: PrometheusServer) -> None:
    for title, query in board_queries(board):
        if (board.stem, title) in QUIET:
            prometheus.values(query)  # which can be answered
        else:
            until(partial(prometheus.values, query), f"{title}: {query}", WELL)


def test_what_is_counted_is_what_is_there(
    cluster: tuple[Deployment, Process, list[str]], prometheus: PrometheusServer
) -> None:
    until(lambda: prometheus.values("job:stream_partition_events_late:ratio_rate5m > 0"), "late events", WELL)
    until(lambda: prometheus.values("job:dlq_records:ratio_rate5m > 0.005 < 0.05"), "refused events", WELL)
    [refused] = prometheus.values("sum(dlq_records_total)")
    assert 0 < refused <= len(cluster[0].records("dlq"))


def test_a_feed_that_stops_sets_off_an_alert_until_it_sends_again(
    cluster: tuple[Deployment, Process, list[str]],
    prometheus: PrometheusServer,
    alertmanager: AlertmanagerServer,
) -> None:
    deployment, workers, _ = cluster
    silent = 'ALERTS{alertname="MdpFeedSilent", alertstate="firing", job="mdp", provider="synthetic"}'
    until(lambda: prometheus.values("job_topic_provider:stream_events_ingested:rate1m > 0"), "events", WELL)
    assert not prometheus.values(silent)
    [producer] = [process for process in deployment.processes if process is not workers]
    kill(producer)
    until(lambda: prometheus.values(silent), "the alert", WELL)
    until(lambda: alertmanager.alerts("MdpFeedSilent"), "Alertmanager to know of it", WELL)
    [alert] = alertmanager.alerts("MdpFeedSilent")
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOKS}#mdpfeedsilent"
    assert alert["labels"] == {
        "alertname": "MdpFeedSilent",
        "severity": "critical",
        "job": "mdp",
        "provider": "synthetic",
    }
    assert [receiver["name"] for receiver in alert["receivers"]] == ["wake"]
    deployment.command(*PRODUCE)
    until(lambda: not prometheus.values(silent), "the end of the alert", WELL)


def test_a_cluster_that_is_killed_is_about_to_set_off_an_alert(
    cluster: tuple[Deployment, Process, list[str]], prometheus: PrometheusServer
) -> None:
    until(lambda: prometheus.values('up{job="mdp"}') == [1, 1], "both workers", WELL)
    kill(cluster[1])
    pending = 'ALERTS{alertname="MdpWorkerDown", alertstate="pending", job="mdp"}'
    until(lambda: len(prometheus.values(pending)) == 2, "the alert", WELL)


def all_rules(prometheus: PrometheusServer) -> list[dict[str, str]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
