"""DBN files as a connector that has the past: what `mdp stream produce` sends of them, for some symbols and a span."""

from __future__ import annotations

import asyncio
import glob
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from connectors.connector import Connector, ConnectorError, Emit, Raw, Request, Span
from connectors.databento.dbn import preset_of
from connectors.files.maps import FileMap, load_map
from connectors.files.opening import opened
from connectors.files.reader import Reading, names_of, read
from contracts.payloads.trades import TRADES_V2

_TRADES: Final = "dbn-trades"
_BARS: Final = "dbn-bars"
_OF_FRAMES: Final = {"src_ts": "event_time", "seq": "sequence"}  # what the manifest's mapping calls it
_NOT_SENT: Final = ("provider", "raw", "file", "row", "flaw", "cell")


class DatabentoConnector(Connector):
    """The files of one schema.

    Raises:
        ConnectorError: there are none, or they hold bars, which travel without envelopes.
        FileError: a file is not DBN, or the decoder is not installed.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        pattern = str(request.options["path"])
        self._paths = [Path(path) for path in sorted(glob.glob(pattern))]
        if not self._paths:
            raise ConnectorError(f"connector databento: no file matches {pattern}")
        self._columns = _map_of(self._paths)

    async def live(self, emit: Emit) -> None:
        """Raises ConnectorError: files are the past."""
        raise ConnectorError("connector databento reads files, which are the past", "use `mdp connect backfill`")

    async def backfill(self, symbol: str, span: Span) -> AsyncIterator[Sequence[Raw]]:
        """What the files hold of a symbol, a frame at a time."""
        pages = self._pages(symbol, span)
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            if page:
                yield page

    def _pages(self, symbol: str, span: Span) -> Iterator[list[Raw]]:
        reading = Reading.of_map(self._columns, None, None, lambda _: None)
        for frame in read(self._paths, reading):
            flawed = frame.filter(pl.col("flaw").is_not_null())
            if flawed.height:
                file, row, flaw = flawed.select("file", "row", "flaw").row(0)
                raise ConnectorError(f"{names_of(self._paths, reading)[file]}, row {row}: {flaw}")
            is_wanted = (pl.col("symbol") == symbol) & pl.col("src_ts").is_between(
                span.begin_ns, span.end_ns, closed="left"
            )
            yield _lines(frame.filter(is_wanted), self._columns.type)


def _map_of(paths: Sequence[Path]) -> FileMap:
    presets = {preset_of(file) for path in paths for file in opened(path)}
    if len(presets) > 1:
        raise ConnectorError("connector databento: the files are of several schemas: name those of one")
    (preset,) = presets
    if preset == _BARS:
        raise ConnectorError("connector databento: bars travel without envelopes", "send them by `mdp stream produce`")
    columns = load_map(preset)
    return columns.model_copy(update={"type": TRADES_V2.id}) if preset == _TRADES else columns


def _lines(rows: pl.DataFrame, kind: str) -> list[Raw]:
    named = (
        rows.drop(_NOT_SENT).rename(_OF_FRAMES).with_columns(type=pl.lit(kind)).sort("event_time", maintain_order=True)
    )
    return named.write_ndjson().encode().splitlines()
