import io
import json
import math
import struct
from collections.abc import Callable
from typing import cast

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.decode import Decoder
from codec.encode import CONTENT_TYPES, Encoding, encode
from contracts.event import WIRE
from contracts.frames import EVENTS
from contracts.record import CONTENT_TYPE, Fetch, Headers, Records

T0 = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
SECOND = 1_000_000_000

DOCUMENTED = {
    "ver": 1,
    "provider": "ibkr_primary",
    "symbol": "SPY",
    "kind": "tick",
    "interval": "1s",
    "src_ts": "2025-10-24T14:02:01.234567Z",
    "ingest_ts": "2025-10-24T14:02:01.300000Z",
    "o": 425.1,
    "h": 425.2,
    "l": 425.0,
    "c": 425.15,
    "v": 1200,
    "seq": 183,
    "event_id": "ibkr_primary|SPY|2025-10-24T14:02:01.234567Z|183",
}


def documented() -> pl.DataFrame:
    row = DOCUMENTED | {"src_ts": T0, "ingest_ts": T0 + 65_433_000}
    return pl.DataFrame([row], schema=WIRE)


def ticks(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "provider": ["feed"] * count,
            "symbol": [f"S{i % 3}" for i in range(count)],
            "kind": ["tick"] * count,
            "src_ts": [T0 + i * SECOND for i in range(count)],
            "c": [100.1 + i for i in range(count)],
            "v": [float(i) for i in range(count)],
            "seq": list(range(count)),
            "event_id": [f"e{i}" for i in range(count)],
        }
    )


class Delivered:
    """A record as a consumer gets it."""

    def __init__(self, offset: int, value: bytes, encoding: Encoding) -> None:
        self._offset, self._value, self._encoding = offset, value, encoding

    def value(self) -> bytes:
        return self._value

    def key(self) -> bytes | None:
        return None

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, T0 // 1_000_000 + 3_600_000

    def headers(self) -> Headers:
        return [(CONTENT_TYPE, CONTENT_TYPES[self._encoding].encode())]


def decoded(values: list[bytes], encoding: Encoding) -> pl.DataFrame:
    records = [Delivered(offset, value, encoding) for offset, value in enumerate(values)]
    fetch = Fetch(topic="events", partition=0, next_offset=len(records), records=Records.of(records))
    batch = Decoder(window_ns=2 * SECOND, max_future_ns=5 * SECOND).decode(fetch)
    assert batch.rejects["error"].to_list() == []
    return batch.events


def test_json_has_the_documented_form_in_the_documented_order() -> None:
    (value,) = encode(documented(), "json")
    assert json.loads(value) == DOCUMENTED
    assert list(json.loads(value)) == list(DOCUMENTED)


def test_msgpack_holds_the_same_map() -> None:
    (value,) = encode(documented(), "msgpack")
    assert msgspec.msgpack.decode(value) == DOCUMENTED


@pytest.mark.parametrize("encoding", ["json", "msgpack", "arrow"])
def test_the_pipeline_reads_back_what_was_encoded(encoding: Encoding) -> None:
    events = ticks(25)
    seen = decoded(encode(events, encoding, rows_per_record=10), encoding)
    assert seen.select(events.columns).equals(events)
    assert seen.schema == EVENTS


@pytest.mark.parametrize(("encoding", "decode"), [("json", msgspec.json.decode), ("msgpack", msgspec.msgpack.decode)])
def test_nulls_are_left_out_row_by_row(encoding: Encoding, decode: Callable[[bytes], dict[str, object]]) -> None:
    events = ticks(2).with_columns(o=pl.Series([None, 1.5]), seq=pl.Series([7, None], dtype=pl.Int64))
    first, second = (decode(value) for value in encode(events, encoding))
    assert "o" not in first
    assert first["seq"] == 7
    assert second["o"] == 1.5
    assert "seq" not in second


def test_text_that_looks_like_a_null_field_stays() -> None:
    tricky = 'x,"o":null,"\\'
    events = ticks(2).with_columns(symbol=pl.lit(tricky), o=pl.Series([None, 1.5]))
    assert [json.loads(value)["symbol"] for value in encode(events, "json")] == [tricky, tricky]


def test_what_json_has_no_number_for_is_left_out() -> None:
    events = ticks(3).with_columns(c=pl.Series([math.nan, math.inf, 1.0]))
    assert [json.loads(value).get("c") for value in encode(events, "json")] == [None, None, 1.0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.text())
def test_every_float_and_every_text_survives(prices: list[float], text: str) -> None:
    events = ticks(len(prices)).with_columns(c=pl.Series(prices), provider=pl.lit(text))
    for values in (
        [json.loads(value) for value in encode(events, "json")],
        [msgspec.msgpack.decode(value) for value in encode(events, "msgpack")],
    ):
        assert [struct.pack("<d", value["c"]) for value in values] == [struct.pack("<d", price) for price in prices]
        assert {value["provider"] for value in values} == {text}


def test_times_finer_than_a_microsecond_keep_all_their_digits() -> None:
    (value,) = encode(ticks(1).with_columns(src_ts=pl.lit(T0 + 1)), "json")
    assert json.loads(value)["src_ts"] == "2025-10-24T14:02:01.234567001Z"


def test_an_arrow_record_holds_up_to_the_given_number_of_rows() -> None:
    events = ticks(25)
    tables = [pa.ipc.open_stream(io.BytesIO(value)).read_all() for value in encode(events, "arrow", rows_per_record=10)]
    assert [table.num_rows for table in tables] == [10, 10, 5]
    assert tables[0].schema.field("src_ts").type == pa.timestamp("ns", "UTC")
    assert pa.concat_tables(tables)["c"].to_pylist() == events["c"].to_list()


def test_an_arrow_record_is_one_batch_of_types_that_all_readers_know() -> None:
    (value,) = encode(pl.concat([ticks(3), ticks(4)]), "arrow")
    reader = pa.ipc.open_stream(io.BytesIO(value))
    assert reader.schema.field("symbol").type == pa.string()
    assert [batch.num_rows for batch in reader] == [7]


@pytest.mark.parametrize("encoding", ["json", "msgpack", "arrow"])
def test_no_events_make_no_records(encoding: Encoding) -> None:
    assert encode(ticks(3).clear(), encoding) == []


def test_an_unknown_encoding_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'avro' is not an encoding: choose from json, msgpack, arrow"):
        encode(ticks(1), cast(Encoding, "avro"))
