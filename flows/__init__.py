"""The dataflows."""

import os

# A worker uses one core, and scales out by processes: more threads would only wait for each other.
for library in ("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(library, "1")
