"""Ids that are derived from what they identify: the same thing has the same id in every run."""

from __future__ import annotations

import polars as pl


def joined_id(parts: list[pl.Expr]) -> pl.Expr:
    """The parts joined by `|`, with `\\` and `|` inside a part escaped, so that different parts never join to one id."""
    escaped = [
        part.str.replace_all("\\", "\\\\", literal=True).str.replace_all("|", "\\|", literal=True) for part in parts
    ]
    return pl.concat_str(escaped, separator="|")
