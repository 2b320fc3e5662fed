"""Reading ahead changes nothing but the time at which files are read."""

from __future__ import annotations

import threading
from collections.abc import Generator

import polars as pl
import pytest

from connectors.files.ahead import ahead

Frames = Generator[pl.DataFrame, None, None]


def numbered(count: int, closed: list[int], error: Exception | None = None) -> Frames:
    try:
        for number in range(count):
            yield pl.DataFrame({"number": [number]})
        if error is not None:
            raise error
    finally:
        closed.append(threading.get_ident())


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mdp-files"]


def test_frames_come_in_their_order_from_another_thread() -> None:
    closed: list[int] = []
    assert [frame["number"][0] for frame in ahead(numbered(9, closed))] == list(range(9))
    assert closed != [threading.get_ident()]
    assert not threads()


def test_an_error_comes_after_what_was_read_before_it() -> None:
    frames = ahead(numbered(4, [], ValueError("torn")))
    assert [next(frames)["number"][0] for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="torn"):
        next(frames)
    assert not threads()


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_files_are_closed_when_nobody_wants_the_rest(taken: int) -> None:
    closed: list[int] = []
    frames = ahead(numbered(1_000, closed))
    for _ in range(taken):
        next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert len(closed) == 1
    assert not threads()
