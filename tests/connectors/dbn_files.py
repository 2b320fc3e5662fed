"""DBN files, written with Databento's own encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import databento_dbn
import pyarrow as pa

dbn: Any = databento_dbn  # its stubs have the members of enums as texts

T0: Final = 1_654_871_400_000_070_033  # 2022-06-10T14:30:00.000070033Z
SIDES: Final = {"A": dbn.Side.ASK, "B": dbn.Side.BID, "N": dbn.Side.NONE}


def metadata(schema: str | None, symbols: Mapping[str, Sequence[tuple[str, str, int]]], **more: Any) -> bytes:
    """The head of a file, with the first day, the last day and the instrument of each symbol's intervals."""
    mappings = [
        SimpleNamespace(
            raw_symbol=symbol,
            intervals=[
                SimpleNamespace(
                    start_date=date.fromisoformat(begin), end_date=date.fromisoformat(end), symbol=str(instrument)
                )
                for begin, end, instrument in intervals
            ],
        )
        for symbol, intervals in symbols.items()
    ]
    found = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=T0,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=None if schema is None else dbn.Schema.from_str(schema),
        mappings=mappings,
        **more,
    )
    return bytes(found)


ESM2: Final = {"ESM2": [("2022-06-10", "2022-06-11", 3403)]}


def trade(
    price: int, *, side: str = "A", ts: int = T0, sequence: int = 1, instrument: int = 3403, size: int = 1
) -> bytes:
    return bytes(
        dbn.TradeMsg(
            publisher_id=1,
            instrument_id=instrument,
            ts_event=ts,
            price=price,
            size=size,
            action=dbn.Action.TRADE,
            side=SIDES[side],
            depth=0,
            ts_recv=ts + 78_768,
            sequence=sequence,
        )
    )


def book(levels: Sequence[tuple[int, int, int, int]], *, depth: int) -> bytes:
    """An update of a book of `depth` levels: bid, ask and their sizes of each."""
    empty = (dbn.UNDEF_PRICE, dbn.UNDEF_PRICE, 0, 0)
    filled = [*levels, *[empty] * (depth - len(levels))]
    pairs = [dbn.BidAskPair(bid_px=bid, ask_px=ask, bid_sz=bids, ask_sz=asks) for bid, ask, bids, asks in filled]
    fields: dict[str, Any] = {
        "publisher_id": 1,
        "instrument_id": 3403,
        "ts_event": T0,
        "price": dbn.UNDEF_PRICE,
        "size": 0,
        "action": dbn.Action.ADD,
        "side": dbn.Side.BID,
        "depth": 0,
        "ts_recv": T0 + 78_768,
        "sequence": 9,
    }
    if depth == 1:
        return bytes(dbn.MBP1Msg(**fields, levels=pairs[0]))
    return bytes(dbn.MBP10Msg(**fields, levels=pairs))


def bar(prices: tuple[int, int, int, int], volume: int) -> bytes:
    o, h, l, c = prices
    return bytes(
        dbn.OHLCVMsg(
            rtype=dbn.RType.OHLCV_1M,
            publisher_id=1,
            instrument_id=3403,
            ts_event=T0 // 60_000_000_000 * 60_000_000_000,
            open=o,
            high=h,
            low=l,
            close=c,
            volume=volume,
        )
    )


def write(path: Path, head: bytes, records: Sequence[bytes]) -> Path:
    data = head + b"".join(records)
    path.write_bytes(pa.compress(data, codec="zstd", asbytes=True) if path.suffix == ".zst" else data)
    return path
