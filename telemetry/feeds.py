"""When a provider was last heard of, and how long it may be silent: what a feed that has gone silent is found by."""

from __future__ import annotations

import time

from contracts.batch import MicroBatch
from telemetry.config import TelemetryConfig
from telemetry.labels import PROVIDERS
from telemetry.metrics import LAST_EVENT, MAX_SILENCE


class FeedWatch:
    """Notes when events of each provider are read; batches go on unchanged.

    The silence of a provider that the config expects begins with the worker: it may never send anything. The clock is
    that of the worker, not that of the events, as a delayed feed is not a silent one.
    """

    def __init__(self, config: TelemetryConfig) -> None:
        for provider, seconds in config.max_silence_s.items():  # first of all, so that each has a label of its own
            label = PROVIDERS.label(provider)
            MAX_SILENCE.labels(label).set(seconds)
            LAST_EVENT.labels(label).set(time.time())

    def __call__(self, batch: MicroBatch) -> MicroBatch:
        for provider in batch.ingested:
            LAST_EVENT.labels(PROVIDERS.label(provider)).set(time.time())
        return batch
