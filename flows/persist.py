"""The persisting dataflow: messages in envelopes to the tables of their types."""

from __future__ import annotations

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import endpoints, steps
from flows.config_file import connected, load
from flows.message_input import message_decoder
from flows.settings import Settings
from flows.spec import PERSIST, FlowSpec


def flow(settings: Settings | None = None) -> Dataflow:
    """A branch for each topic: they share workers and saved state, and nothing else."""
    settings = settings or connected(load())
    dataflow = Dataflow(PERSIST.name)
    for branch in PERSIST.branches(settings):
        _read(dataflow, settings, branch)
    return dataflow


def _read(dataflow: Dataflow, settings: Settings, spec: FlowSpec) -> None:
    name = spec.step_suffix(settings)
    source = endpoints.source(settings, spec, message_decoder(settings).decode_all)
    messages = op.input(f"messages-{name}", dataflow, source)
    totals = op.stateful_batch(f"steps-{name}", messages, steps.chained(settings, spec))
    op.output(f"kafka-{name}", totals, endpoints.kafka(settings, spec, source))
    op.output(f"timescale-{name}", totals, endpoints.timescale(settings, spec, source.identity.confirm))
