"""Reads the log again when an output has lost acknowledged data (`sinks.set_back`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from bytewax import errors

from contracts.progress import SetBack
from flows import stop
from flows.settings import Settings
from flows.spec import FlowSpec
from mdp.runtime.errors import causes
from mdp.runtime.saved_state import SavedState
from sinks import set_back
from sinks.connection import StoreUnavailable

log: Final = logging.getLogger("mdp.worker")


def discard_state_if_set_back(settings: Settings, flow: FlowSpec) -> None:
    """Discards saved state from which the flow would skip lost outputs; called before each start."""
    saved = SavedState.of(settings, flow)
    if saved is None:
        return
    url, flow_id = settings.store.url.get_secret_value(), flow.id(settings)
    try:
        is_marked = set_back.is_marked(url, flow_id)
    except StoreUnavailable:
        return  # the loss will be detected again
    if is_marked:
        log.warning(
            "outputs of %s have lost acknowledged data: discarding its saved state, reading the log again", flow_id
        )
        saved.prepare(reset=True)


def rerun_when_set_back(settings: Settings, flow: FlowSpec, run: Callable[[], int]) -> int:
    """Runs the only process of a flow, again after each detected loss of outputs; returns its exit code."""
    while True:
        discard_state_if_set_back(settings, flow)
        try:
            return run()
        except errors.BytewaxRuntimeError as failure:
            back = next((cause for cause in causes(failure) if isinstance(cause, SetBack)), None)
            if back is None or stop.STOP.is_set():
                raise
            log.warning("%s", back.line)
