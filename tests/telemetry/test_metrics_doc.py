"""docs/metrics.md against the registry, in both directions."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from telemetry import metrics
from tests.telemetry.test_worker_endpoints import OF_THE_SOURCE_DOCUMENT, OURS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([\w, ]*)\|", re.MULTILINE)

Described = dict[str, tuple[str, set[str]]]


def registered() -> Described:
    found: Described = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            bare = family.type != "counter" or family.name in metrics.BARE
            found[family.name + ("" if bare else "_total")] = (family.type, set(metric._labelnames))
    return found


def test_the_table_has_each_metric_with_its_type_and_labels() -> None:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    described = {name: (kind, {*filter(None, labels.strip().split(", "))}) for name, kind, labels in rows}
    assert len(described) == len(rows)
    assert described == registered()


def test_the_metrics_that_a_running_flow_has_to_show_are_all_but_those_of_faults_and_of_other_flows() -> None:
    others = {
        "bus_retry_total",  # of services beside the flows
        "dlq_waiting_records",
        "dlq_parked_records",
        "replay_requests_total",
        "replay_requests_open",
        "normalize_skipped_total",
        "stream_gap_offsets_total",
        "stream_unreadable_offsets_total",
        "stream_open_transaction_seconds",
        "stream_watermark_leaps_total",
        "inference_breaker_open",
    }
    others |= {name for name in registered() if name.startswith("connector_")}
    assert registered().keys() - others == OF_THE_SOURCE_DOCUMENT.keys() | OURS.keys()
