"""What made a signal, told in its meta: which rules or model, in which state, and the values that it looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from contracts import frames

LINEAGE: Final = "lineage"  # the key in meta

_VALUE: Final = "value of "  # before the names of features, which may be those of other columns
_PLACE: Final = "place"


@dataclass(frozen=True)
class Lineage:
    """Of the signals of one evaluator.

    Attributes:
        source: the name of the file, or of what else an evaluator is made of.
        version: as the config or the installed package has it; empty if neither says.
        sha256: of the file; empty where there is none.
        inputs: by the name of a signal, the columns of the features frame that decide it, where they are known.
    """

    source: str
    version: str = ""
    sha256: str = ""
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of_file(cls, file: Path, version: str, inputs: Mapping[str, tuple[str, ...]]) -> Lineage:
        """Of what is read from a file."""
        return cls(file.name, version, hashlib.sha256(file.read_bytes()).hexdigest(), inputs)

    def told(self, features: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
        """The same signals, with lineage in their meta.

        Args:
            features: the rows that were evaluated, one per (provider, symbol, interval, ts).
            signals: what came of them, columns as inference.evaluator.EVALUATED.
        """
        placed = signals.with_row_index(_PLACE).join(
            self._values(features), on=frames.FEATURE_KEY, how="left", maintain_order="left"
        )
        parts = [self._of_name(part) for part in placed.partition_by("name")]
        texts = pl.concat(parts).sort(_PLACE)[LINEAGE]
        return signals.with_columns(_with_lineage(signals["meta"].fill_null("{}"), texts).alias("meta"))

    def _values(self, features: pl.DataFrame) -> pl.DataFrame:
        used = dict.fromkeys(name for names in self.inputs.values() for name in names)
        return features.select(*frames.FEATURE_KEY, *(pl.col(name).alias(f"{_VALUE}{name}") for name in used))

    def _of_name(self, signals: pl.DataFrame) -> pl.DataFrame:
        """Place and lineage of signals of one name."""
        inputs = self.inputs.get(signals["name"][0])
        parts = [pl.lit(self._head)]
        if inputs is not None:
            values = pl.struct(pl.col(f"{_VALUE}{name}").alias(name) for name in inputs).struct.json_encode()
            parts += [pl.lit(',"features":'), values]
        return signals.select(_PLACE, pl.concat_str(*parts, pl.lit("}")).alias(LINEAGE))

    @cached_property
    def _head(self) -> str:
        """What is the same for all signals: an object without its end."""
        told = {"source": self.source, "version": self.version or None, "sha256": self.sha256 or None}
        return json.dumps(told, separators=(",", ":")).removesuffix("}")


def _with_lineage(meta: pl.Series, lineage: pl.Series) -> pl.Series:
    """JSON objects with one key more."""
    comma = pl.when(pl.col("meta") == "{}").then(pl.lit("")).otherwise(pl.lit(","))
    whole = pl.concat_str(
        pl.col("meta").str.strip_suffix("}"), comma, pl.lit(f'"{LINEAGE}":'), pl.col(LINEAGE), pl.lit("}")
    )
    return pl.DataFrame({"meta": meta, LINEAGE: lineage}).select(whole).to_series()
