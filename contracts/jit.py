"""Loops over single events or bytes, where a column cannot say it: compiled to machine code by Numba.

The compiled code is kept beside the source, so only the first process after a change compiles. Numba notices a change
of the file that a function is in, but not of others that it takes functions or constants from: what calls each other
shares a file, and after a change of what does not, `make clean` sees to it that all is compiled anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba


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
    try:
        return cast(_Function, numba.njit(function, cache=True, nogil=True, error_model="numpy"))
    except RuntimeError:  # no folder of the machine can be written to
        return cast(_Function, numba.njit(function, nogil=True, error_model="numpy"))
