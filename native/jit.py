"""Loops over single events or bytes that columnar operations cannot express: compiled to machine code by Numba.

The compiled code is cached (`native.code_cache`), so only the first process after a change compiles.
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
    """Make imports of a module fail, as if it were not installed."""
    known = sys.modules.pop(module, None)
    sys.modules[module] = None  # type: ignore[assignment]
    yield
    del sys.modules[module]
    if known is not None:
        sys.modules[module] = known


# When first used, Numba imports SciPy's matrix multiplication, which takes longer than the rest of its import.
with _hidden("scipy.linalg.cython_blas"):
    import numba.np.arraymath

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function of arrays and numbers; it runs without the GIL."""
    dispatcher = numba.njit(function, nogil=True, error_model="numpy")
    with suppress(OSError):  # without its source there is no digest, and no cache
        dispatcher._cache = CodeCache(function)
    return cast(_Function, dispatcher)


def inlined(function: _Function) -> _Function:
    """Compile a function into each that calls it: for a step of a loop over bytes, where a call takes as long."""
    return cast(_Function, numba.njit(function, nogil=True, error_model="numpy", inline="always"))
