"""Counts the contents of micro-batches after the steps."""

from __future__ import annotations

import collections
import functools
import logging
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Final

import polars as pl
from prometheus_client import Gauge

from contracts.batch import MicroBatch, Outcomes
from telemetry import status
from telemetry.config import TelemetryConfig
from telemetry.labels import PROVIDERS, Names
from telemetry.latency import observe_latency
from telemetry.metrics import (
    FEATURES_DURATION,
    FLUSH_ROWS,
    FLUSHES,
    INGESTED,
    PARTITION_EVENTS,
    SIGNALS,
    WATERMARK_DELAY,
    WATERMARK_LEAPS,
    WINDOW_LENGTH,
)

BUS: Final = "kafka"
ALL: Final = "*"
UNKNOWN: Final = "unknown"
_LEAP_SECONDS: Final = 10.0  # between log lines, however often a feed leaps

log = logging.getLogger("mdp.watermark")

Answer = Callable[[MicroBatch], MicroBatch]

_signals: Final = Names(1_000)
_symbols: Final = Names(10_000)


class Observation:
    """Counts micro-batches and passes them on unchanged."""

    def __init__(self, config: TelemetryConfig, window_ms: int) -> None:
        self._symbol_label, self._window_ms = config.symbol_label, str(window_ms)
        WINDOW_LENGTH.set(window_ms)
        self._rows = FLUSH_ROWS.labels(self._window_ms)
        self._told_at = -_LEAP_SECONDS

    def __call__(self, batch: MicroBatch) -> MicroBatch:
        place = batch.topic, str(batch.partition)
        for outcome, gauge in _outcome_gauges(*place).items():
            gauge.set(getattr(batch.outcomes, outcome))
        _count_ingested(batch)
        status.count(batch)
        if batch.watermark is not None:
            WATERMARK_DELAY.labels(*place).set(time.time() - batch.watermark / 1e9)
        if batch.leaps:
            self._count_leaps(batch)
        if batch.bars.height:
            self._count_flush(batch.bars)
        if batch.signals.height:
            _count_signals(batch.signals)
        observe_latency("steps", batch)
        return batch

    def _count_leaps(self, batch: MicroBatch) -> None:
        WATERMARK_LEAPS.labels(batch.topic, str(batch.partition)).inc(len(batch.leaps))
        if time.monotonic() - self._told_at < _LEAP_SECONDS:
            return
        self._told_at = time.monotonic()
        provider, leap = max(batch.leaps.items(), key=lambda one: one[1])
        log.warning(
            "one event advanced the watermark of provider %r in %s[%d] by %.1f s, at offset %d or before",
            provider[:100],
            batch.topic,
            batch.partition,
            leap / 1e9,
            batch.next_offset - 1,
        )

    def _count_flush(self, bars: pl.DataFrame) -> None:
        self._rows.inc(bars.height)
        if not self._symbol_label:
            FLUSHES.labels(self._window_ms, ALL).inc()
            return
        for symbol in bars["symbol"].unique():
            FLUSHES.labels(self._window_ms, _symbols.label(symbol)).inc()


def timed_features(update: Answer, config: TelemetryConfig, window: str) -> Answer:
    """Returns `update` with its time observed for each batch with bars; each symbol counts the time of all symbols."""

    def timed(batch: MicroBatch) -> MicroBatch:
        if not batch.bars.height:
            return update(batch)
        begin = time.perf_counter()
        result = update(batch)
        seconds = time.perf_counter() - begin
        symbols = batch.bars["symbol"].unique() if config.symbol_label else ()
        for label in map(_symbols.label, symbols) if config.symbol_label else (ALL,):
            FEATURES_DURATION.labels(label, window).observe(seconds)
        return result

    return timed


def _count_ingested(batch: MicroBatch) -> None:
    for provider, count in batch.ingested.items():
        INGESTED.labels(BUS, batch.topic, PROVIDERS.label(provider)).inc(count)
    if batch.rejects.height:
        INGESTED.labels(BUS, batch.topic, UNKNOWN).inc(batch.rejects.height)


def _count_signals(signals: pl.DataFrame) -> None:
    made = collections.Counter(zip(signals["name"].to_list(), signals["adapter"].to_list(), strict=True))
    for (name, adapter), count in made.items():
        SIGNALS.labels(_signals.label(name), adapter).inc(count)


@functools.cache
def _outcome_gauges(topic: str, partition: str) -> dict[str, Gauge]:
    return {outcome.name: PARTITION_EVENTS.labels(topic, partition, outcome.name) for outcome in fields(Outcomes)}
