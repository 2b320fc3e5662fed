from __future__ import annotations

import time

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError

from contracts.batch import MicroBatch
from telemetry.config import TelemetryConfig
from telemetry.feeds import FeedWatch
from telemetry.metrics import LAST_EVENT


def last_event(provider: str) -> float | None:
    return REGISTRY.get_sample_value("stream_provider_last_event_timestamp_seconds", {"provider": provider})


def batch_of(*providers: str) -> MicroBatch:
    return MicroBatch(topic="t", partition=0, next_offset=1, ingested=dict.fromkeys(providers, 1))


def test_providers_of_a_batch_have_just_been_heard_of_and_no_others() -> None:
    for provider in ("heard", "unheard"):
        LAST_EVENT.labels(provider).set(1)
    begin = time.time()
    batch = batch_of("heard", "bad \x1b[2J")
    assert FeedWatch(TelemetryConfig())(batch) is batch
    assert begin <= (last_event("heard") or 0) <= time.time()
    assert begin <= (last_event("other") or 0) <= time.time()
    assert last_event("unheard") == 1


def test_the_silence_of_an_expected_provider_begins_with_the_worker() -> None:
    begin = time.time()
    FeedWatch(TelemetryConfig(max_silence_s={"expected": 30}))
    assert begin <= (last_event("expected") or 0) <= time.time()
    assert REGISTRY.get_sample_value("stream_provider_max_silence_seconds", {"provider": "expected"}) == 30


@pytest.mark.parametrize("wrong", [{"no label": 30}, {"a" * 65: 30}, {"p": 0}, {f"p{n}": 1 for n in range(51)}])
def test_a_provider_that_can_have_no_label_of_its_own_cannot_be_expected(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        TelemetryConfig(max_silence_s=wrong)
