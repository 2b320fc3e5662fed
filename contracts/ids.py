"""Ids that are derived from what they identify: the same thing has the same id in every run."""

from __future__ import annotations

import polars as pl

from contracts.timestamps import format_timestamps


def joined_id(parts: list[pl.Expr]) -> pl.Expr:
    r"""The parts joined by `|`; a `\` or `|` inside a part is escaped, so that different parts make different ids."""
    escaped = [
        part.str.replace_all("\\", "\\\\", literal=True).str.replace_all("|", "\\|", literal=True) for part in parts
    ]
    return pl.concat_str(escaped, separator="|")


def with_event_ids(events: pl.DataFrame) -> pl.DataFrame:
    """Fills event_id where it is absent: provider|symbol|src_ts|seq, with the place in the log for an absent seq."""
    if events["event_id"].null_count() == 0:
        return events
    place = pl.concat_str(pl.lit("@"), "offset", pl.lit("."), "row")
    derived = joined_id(
        [
            pl.col("provider"),
            pl.col("symbol").fill_null(""),
            pl.lit(format_timestamps(events["src_ts"])),
            pl.col("seq").cast(pl.String).fill_null(place),
        ]
    )
    return events.with_columns(pl.col("event_id").fill_null(derived))
