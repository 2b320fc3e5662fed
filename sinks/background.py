"""A thread that writes while the dataflow computes; `barrier` waits until everything submitted is written."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from contracts.batch import MicroBatch
from telemetry.endings import never_raising
from telemetry.metrics import QUEUE_DEPTH

_MOST_WAITING: Final = 16
_MOST_BYTES: Final = 32 << 20

Write = Callable[[Sequence[MicroBatch]], None]


class BackgroundWriter:
    """Passes micro-batches to `write` in order, all that have accumulated at once.

    An exception of `write` is raised in the dataflow by the next call, and ends it: the run resumes from its last
    snapshot.
    """

    def __init__(self, sink: str, write: Write, close: Callable[[], None]) -> None:
        self._write, self._close = write, close
        self._depth = QUEUE_DEPTH.labels(sink)
        self._waiting: deque[MicroBatch] = deque()
        self._busy = False
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=sink, daemon=True)
        self._thread.start()

    def submit(self, batches: Sequence[MicroBatch]) -> None:
        """Queues batches; blocks while too many are queued, or too many bytes of rejected records."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self._has_room())
            self._raise_failure()
            self._waiting.extend(batches)
            self._depth.inc(len(batches))
            self._changed.notify_all()

    def barrier(self) -> None:
        """Waits until everything submitted so far is written."""
        with self._changed:
            self._changed.wait_for(self._is_idle)
            self._raise_failure()

    def close(self) -> None:
        """Writes what is still queued, and closes the connection.

        A failure is not raised here: a barrier has raised it, or the dataflow is already ending because of one.
        """
        with self._changed:
            self._changed.wait_for(self._is_idle)
            self._ended = True
            self._changed.notify_all()
        self._thread.join()
        with never_raising(f"{self._thread.name} could not be closed in order"):
            self._close()

    def _has_room(self) -> bool:
        waiting = self._waiting
        return len(waiting) < _MOST_WAITING and sum(batch.refused_bytes for batch in waiting) < _MOST_BYTES

    def _is_idle(self) -> bool:
        return self._failure is not None or not (self._waiting or self._busy)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while batches := self._take():
                self._write(batches)
                self._depth.dec(len(batches))
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _take(self) -> list[MicroBatch]:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._ended)
            taken = list(self._waiting)
            self._waiting.clear()
            self._busy = bool(taken)
            self._changed.notify_all()
            return taken
