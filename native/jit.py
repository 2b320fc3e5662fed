"""Loops over single events or bytes, where a column cannot say it: compiled to machine code by Numba.

The compiled code is kept (`native.code_cache`), so only the first process after a change compiles.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

import numba

from native.code_cache import CodeCache


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """As if it were not installed."""
    known = sys.modules.pop(module, None)
    sys.modules[module] = None  # type: ignore[assignment]
    yield
    del sys.modules[module]
    if known is not None:
        sys.modules[module] = known


# At its first use Numba looks for SciPy's matrix multiplication, which takes longer than all else of it together.
with _hidden("scipy.linalg.cython_blas"):
    import numba.np.arraymath

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Runs without the GIL, on arrays and numbers only."""
    dispatcher = numba.njit(function, nogil=True, error_model="numpy")
    with suppress(OSError):  # without its source nobody knows which code is its own
        dispatcher._cache = CodeCache(function)
    return cast(_Function, dispatcher)
