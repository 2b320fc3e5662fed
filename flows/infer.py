"""The second half of the market dataflow: the bars topic to features and signals."""

from __future__ import annotations

from typing import Final

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from contracts.bars import without_bars
from flows import connectors, steps
from flows.config_file import connected, load
from flows.settings import Settings
from telemetry.observe import Observation

NAME: Final = "infer"


def flow(settings: Settings | None = None) -> Dataflow:
    """From the bars topic to the database and the signals topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(NAME)

    source = connectors.source(settings, NAME, connectors.bars(settings))
    bars = op.input("bars", dataflow, source)
    summed = op.stateful_batch("totals", bars, steps.totals(settings, NAME))
    features = op.stateful_batch("rolling", summed, steps.rolling(settings, NAME))
    signals = op.stateful_batch("inference", features, steps.inference(settings, NAME))
    results = op.map_value("within", signals, steps.within(settings))
    observe = Observation(settings.telemetry, settings.micro_batch.window_ms)
    counted = op.map_value("observe", op.map_value("without_bars", results, without_bars), observe)
    op.output("timescale", counted, connectors.timescale(settings, NAME, source.identity.confirm))
    op.output("kafka", counted, connectors.kafka(settings, NAME, source, signals=True))
    return dataflow
