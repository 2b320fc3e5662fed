"""The second half of the market dataflow: the bars topic to features and signals."""

from __future__ import annotations

from typing import Final

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from codec.bars import without_bars
from flows import endpoints, steps
from flows.chain import chain
from flows.config_file import connected, load
from flows.settings import Settings
from telemetry.observe import Observation

NAME: Final = "infer"


def flow(settings: Settings | None = None) -> Dataflow:
    """From the bars topic to the database and the signals topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(NAME)

    source = endpoints.source(settings, NAME, endpoints.bars(settings))
    bars = op.input("bars", dataflow, source)
    # One operator, see flows.chain: bars to features, features to signals.
    stateful = steps.totals, steps.rolling, steps.inference
    observe = Observation(settings.telemetry, settings.micro_batch.window_ms)
    stateless = steps.within(settings), without_bars, observe
    results = op.stateful_batch("steps", bars, chain(settings, NAME, stateful, stateless))
    op.output("kafka", results, endpoints.kafka(settings, NAME, source, signals=True))
    op.output("timescale", results, endpoints.timescale(settings, NAME, source.identity.confirm))
    return dataflow
