"""The time of each provider's last event, and its maximum silence, for alerts on silent feeds."""

from __future__ import annotations

import time

from contracts.batch import MicroBatch
from telemetry.config import TelemetryConfig
from telemetry.labels import PROVIDERS
from telemetry.metrics import LAST_EVENT, MAX_SILENCE


class FeedWatch:
    """Records when events of each provider are read; passes batches on unchanged.

    The silence of a configured provider begins when the worker starts, as it may never send anything. Silence is
    measured by the worker's clock, not in event time, as a delayed feed is not silent.
    """

    def __init__(self, config: TelemetryConfig) -> None:
        for provider, seconds in config.max_silence_s.items():  # first, so that each gets a label of its own
            label = PROVIDERS.label(provider)
            MAX_SILENCE.labels(label).set(seconds)
            LAST_EVENT.labels(label).set(time.time())

    def __call__(self, batch: MicroBatch) -> MicroBatch:
        for provider in batch.ingested:
            LAST_EVENT.labels(PROVIDERS.label(provider)).set(time.time())
        return batch
