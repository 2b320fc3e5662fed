"""Reproducible benchmarks."""

import flows  # noqa: F401 - gives Polars and BLAS one thread, as in a worker, before any module here imports them
