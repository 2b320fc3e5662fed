"""The shape of saved state: a flow may only resume from state that its config would have produced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.errors import MdpError
from flows.settings import Settings
from flows.spec import FlowSpec

FORMAT: Final = 10  # of saved state and its keys; raised with each change

Shape = Mapping[str, Any]


class StateMismatch(MdpError):  # noqa: N818 - says what is wrong
    """Saved state belongs to another config; one line names what changed and how to go on."""


def state_shape(settings: Settings, spec: FlowSpec) -> Shape:
    """By config key, everything that the state of a flow depends on, as JSON values."""
    if not spec.has_windows:  # nothing but positions and counts, by topic
        return {"the format of saved state": FORMAT}
    window = settings.micro_batch
    return {
        "the format of saved state": FORMAT,
        f"bus.kafka.{spec.reads}": spec.topic(settings),
        "market.input": settings.market.input,
        "market.price": settings.market.price,
        "micro_batch.window_ms": window.window_ms,
        "micro_batch.allow_late_ms": window.allow_late_ms,
        "micro_batch.amend_ms": window.amend_ms,
        "micro_batch.max_future_ms": window.max_future_ms,
        "micro_batch.max_symbols": window.max_symbols,
        "micro_batch.max_providers": window.max_providers,
        "features.windows": [f"{f.name} ({f.kind} over {f.horizon})" for f in settings.features.windows],
    }


def check_shape(saved: Shape, current: Shape) -> None:
    """Compares the shape of saved state with that of the config.

    Raises:
        StateMismatch: they differ.
    """
    changed = [
        f"{key} was {_text(saved.get(key))} and is {_text(current.get(key))}"
        for key in current
        if saved.get(key) != current.get(key)
    ]
    if changed:
        raise StateMismatch(
            f"saved state does not match the config: {'; '.join(changed)}. "
            f"Read the log again with --reset-state, or keep the old state and use another --name"
        )


def _text(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)
