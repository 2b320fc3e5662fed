"""Writes a Parquet file frame by frame, as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq


def write_parquet(
    path: Path, schema: dict[str, Any], frames: Iterable[pl.DataFrame], on_progress: Callable[[int], None]
) -> int:
    """Write all frames to `path`, replacing the file; return the number of rows.

    Each frame is a row group, so that only one is in memory at a time. `on_progress` is called with the rows so far.
    """
    partial = path.with_name(f"{path.name}.part")
    rows = 0
    try:
        with pq.ParquetWriter(partial, _arrow(pl.DataFrame(schema=schema)).schema, compression="zstd") as writer:
            for frame in frames:
                writer.write_table(_arrow(frame))
                rows += frame.height
                on_progress(rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _arrow(frame: pl.DataFrame) -> Any:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())  # without string views, which not all readers support
