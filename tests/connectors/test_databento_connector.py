"""DBN files as a connector: the messages that `mdp stream produce` sends of them, of some symbols and a span."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.connector import ConnectorError, Request, Span
from connectors.databento.connector import DatabentoConnector
from connectors.files.maps import load_map
from connectors.registry import find
from contracts.errors import MdpError
from mdp.ops.file_messages import MessageFiles, made_of
from normalize.feed import Arrivals, Feed
from normalize.normalizer import Normalizer
from tests.connectors.dbn_files import T0, bar, book, metadata, trade, write

SYMBOLS = {"A": [("2022-06-10", "2022-06-11", 3403)], "B": [("2022-06-10", "2022-06-11", 9)]}
LEVELS = [(3955_250000000, 3955_500000000, 8, 6)]
FILES = {
    "trades": [trade(3955_500000000, sequence=at // 2, instrument=3403 if at % 3 else 9, ts=T0 + at) for at in range(9)]
    + [trade(1_000000000, sequence=99, ts=T0 + 9)] * 2,
    "mbp-1": [book(LEVELS, depth=1)],
    "mbp-10": [book(LEVELS, depth=10)],
}


class Unlimited:
    async def acquire(self, calls: int = 1) -> None:
        """Nothing limits files."""


def connector(path: str) -> DatabentoConnector:
    return DatabentoConnector(
        Request(manifest=find("databento").manifest, limiter=Unlimited(), symbols=("A",), options={"path": path})
    )


async def pages(one: DatabentoConnector, symbol: str, span: Span) -> list[bytes]:
    return [raw async for page in one.backfill(symbol, span) for raw in page]


@pytest.mark.parametrize("schema", sorted(FILES))
def test_what_is_filled_in_is_what_is_produced(tmp_path: Path, schema: str) -> None:
    path = write(tmp_path / f"x.{schema}.dbn.zst", metadata(schema, SYMBOLS), FILES[schema])
    raw = asyncio.run(pages(connector(str(tmp_path / "*.dbn.zst")), "A", Span(T0, T0 + 10**9)))
    manifest = find("databento").manifest
    result = Normalizer(manifest.mapping, Feed("databento")).normalize(raw, Arrivals([T0] * len(raw)))
    assert not result.rejected
    preset = {"trades": "dbn-trades", "mbp-1": "dbn-quotes", "mbp-10": "dbn-books"}[schema]
    columns = load_map(preset)
    if schema == "trades":
        columns = columns.model_copy(update={"type": "trades/v2"})
    files = MessageFiles([path], columns)
    produced = [one for made in made_of(files.kind, files.rows(), None) for one in zip(
        made.messages.keys, made.messages.dedupe_keys, made.messages.event_ids, strict=True
    )]  # fmt: skip
    filled = [
        one for group in result.accepted for one in zip(group.keys, group.dedupe_keys, group.event_ids, strict=True)
    ]
    assert filled == [one for one in produced if one[0] == "A"]
    assert len(set(filled)) == len(filled) > 0


def test_a_span_ends_before_its_end(tmp_path: Path) -> None:
    write(tmp_path / "x.dbn", metadata("trades", SYMBOLS), [trade(1, ts=T0 + at, sequence=at) for at in range(4)])
    raw = asyncio.run(pages(connector(str(tmp_path / "x.dbn")), "A", Span(T0 + 1, T0 + 3)))
    assert [b'"sequence":%d' % at in one for at, one in zip((1, 2), raw, strict=True)] == [True, True]


def test_what_cannot_be_filled_in_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="no file matches"):
        connector(str(tmp_path / "none-*.dbn"))
    write(tmp_path / "x.ohlcv.dbn", metadata("ohlcv-1m", SYMBOLS), [bar((1, 1, 1, 1), 1)])
    with pytest.raises(ConnectorError, match="bars travel without envelopes"):
        connector(str(tmp_path / "x.ohlcv.dbn"))
    write(tmp_path / "x.trades.dbn", metadata("trades", SYMBOLS), [])
    with pytest.raises(ConnectorError, match="of several schemas"):
        connector(str(tmp_path / "x.*.dbn"))
    (tmp_path / "broken.dbn").write_bytes(b"DBN")
    with pytest.raises(MdpError, match="is not DBN"):
        connector(str(tmp_path / "broken.dbn"))


def test_files_are_the_past(tmp_path: Path) -> None:
    write(tmp_path / "x.dbn", metadata("trades", SYMBOLS), [])

    async def live() -> None:
        await connector(str(tmp_path / "x.dbn")).live(emit=None)  # type: ignore[arg-type]

    with pytest.raises(ConnectorError, match="which are the past"):
        asyncio.run(live())
