"""However many symbols and providers a topic has, the steps of a flow take little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import pytest

from codec.decode import Decoder
from contracts.batch import MicroBatch
from contracts.record import ARROW
from flows import steps
from flows.config_file import load
from flows.spec import MARKET
from tests.flows.crowded_topics import PROVIDERS, TOPICS
from tests.flows.pipeline_records import StoredRecord, fetch

NOW_MS = 4_000_000_000_000  # of the records, later than all of their events
MOST_KB = 1_500_000


def peak_kb(topic: Callable[[], Iterator[bytes]]) -> tuple[int, int]:
    """(the most memory that this process has had while the topic went through all steps, events)."""
    settings = load(overrides=[])
    chain = steps.chained(settings, MARKET)(None)
    decoder = Decoder(settings.micro_batch.window_ns, settings.micro_batch.max_future_ms * 1_000_000)
    result = MicroBatch(topic="events", partition=0, next_offset=0)
    for offset, payload in zip(count(), topic(), strict=False):
        batch = decoder.decode(fetch([StoredRecord(offset, payload, NOW_MS, ARROW)]))
        (result,), _ = chain.on_batch([batch])
        chain.snapshot()
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]), result.outcomes.events


@pytest.mark.slow
@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.__name__)
def test_the_steps_stay_small(
    topic: Callable[[], Iterator[bytes]], record_testsuite_property: Callable[[str, object], None]
) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        peak, events = fresh.submit(peak_kb, topic).result()
    record_testsuite_property(f"kilobytes at most, {topic.__name__}", peak)
    assert events >= PROVIDERS
    assert peak < MOST_KB
