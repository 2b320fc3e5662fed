"""Ids that are derived from what they identify: the same thing has the same id in every run."""

from __future__ import annotations

import polars as pl


def joined_id(parts: list[pl.Expr]) -> pl.Expr:
    r"""The parts joined by `|`; a `\` or `|` inside a part is escaped, so that different parts make different ids."""
    escaped = [
        part.str.replace_all("\\", "\\\\", literal=True).str.replace_all("|", "\\|", literal=True) for part in parts
    ]
    return pl.concat_str(escaped, separator="|")
