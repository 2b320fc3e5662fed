"""The dataflows."""

import os

# A worker is one core's worth of work, and scales out by processes: more threads would only wait for each other.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
