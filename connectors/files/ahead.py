"""Reads ahead: what comes next is read in a thread, while what was read is used."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import Final

import polars as pl

_DEPTH: Final = 2  # frames that wait
_LOOK_SECONDS: Final = 0.1

_Item = pl.DataFrame | BaseException | None


def ahead(frames: Generator[pl.DataFrame, None, None]) -> Iterator[pl.DataFrame]:
    """Yields the same frames, and raises what reading them raises; the thread ends with the iteration."""
    waiting: Queue[_Item] = Queue(_DEPTH)
    is_over = threading.Event()
    thread = threading.Thread(target=_read, args=(frames, waiting, is_over), name="mdp-files", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()
        _drain(waiting)
        thread.join()


def _read(frames: Generator[pl.DataFrame, None, None], waiting: Queue[_Item], is_over: threading.Event) -> None:
    last: BaseException | None = None
    try:
        for frame in frames:
            if not _put(waiting, frame, is_over):
                break
    except BaseException as error:
        last = error
    finally:
        frames.close()
    _put(waiting, last, is_over)


def _put(waiting: Queue[_Item], item: _Item, is_over: threading.Event) -> bool:
    """Waits for room; returns whether the item is still wanted."""
    while not is_over.is_set():
        try:
            waiting.put(item, timeout=_LOOK_SECONDS)
        except Full:
            continue
        return True
    return False


def _drain(waiting: Queue[_Item]) -> None:
    """Makes room, so that a thread that waits for it ends at once."""
    try:
        while True:
            waiting.get_nowait()
    except Empty:
        return
