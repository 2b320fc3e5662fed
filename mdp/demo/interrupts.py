"""Handling of Ctrl-C and termination signals while the demo runs."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupts:
    """Handles signals according to the phase of a run.

    Attributes:
        asked: a signal has arrived while `polite`.
        polite: the first signal only sets `asked`, so that the run can finish. Otherwise, and from the second one on, a
            signal raises KeyboardInterrupt.
        ignored: signals have no effect, as everything is being stopped already.
    """

    def __init__(self) -> None:
        self.asked = False  # not an Event: the interrupted code could hold its lock
        self.polite = False
        self.ignored = False
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.ignored:
            return
        terminal_is_gone = number == getattr(signal, "SIGHUP", None)
        if not self.polite or self.asked or terminal_is_gone:
            raise KeyboardInterrupt
        self.asked = True
