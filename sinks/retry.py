"""Waiting for a sink that cannot write: exponential backoff with jitter, and one line in the log per incident."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

_T = TypeVar("_T")
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0

log = logging.getLogger("mdp.sinks")


def until_written(write: Callable[[], _T], unavailable: type[Exception], sink: str) -> _T:
    """Calls `write` until it no longer raises `unavailable`: nothing is dropped, the caller is held back."""
    wait, since = _FIRST_WAIT, 0.0
    while True:
        try:
            result = write()
        except unavailable as error:
            if not since:
                since = time.monotonic()
                log.warning("%s is not available, waiting for it: %s", sink, " ".join(str(error).split()))
        else:
            if since:
                log.warning("%s is back after %.1f s", sink, time.monotonic() - since)
            return result
        time.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter
        wait = min(2 * wait, _LONGEST_WAIT)
