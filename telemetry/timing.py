"""How long calls take."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prometheus_client import Histogram

_P = ParamSpec("_P")
_R = TypeVar("_R")


def timed(histogram: Histogram, call: Callable[_P, _R]) -> Callable[_P, _R]:
    """`call`; how long each took is noted in the histogram, in seconds."""

    @wraps(call)
    def measured(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        begin = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            histogram.observe(time.perf_counter() - begin)

    return measured
