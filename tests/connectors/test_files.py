import tracemalloc
from pathlib import Path

import polars as pl
import pytest

from connectors.files.errors import FileError
from mdp.ops.file_events import EventFiles
from transports.outgoing import OUTGOING, Sent

T0 = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
HEADER = "provider,symbol,kind,src_ts,c,v,seq\n"


def rows(path: Path) -> pl.DataFrame:
    return pl.concat(EventFiles([path]).rows())


def test_lines_of_ndjson_are_passed_on_byte_for_byte_good_or_bad(tmp_path: Path) -> None:
    lines = [b'{ "symbol": "SPY", "c":1.50}', b'{"symbol":"B', b"\xff\xfe junk", b'{"symbol":"\xc3\xa9"}\r', b"[]"]
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join([*lines[:2], b"", b"  ", *lines[2:]]))
    sent = rows(path)
    assert sent["raw"].to_list() == lines
    assert sent["symbol"].to_list() == ["SPY", None, None, "é", None]
    assert Sent.of(sent) == Sent({"unchecked": 5})
    assert sent.schema == OUTGOING


def test_an_escaped_symbol_and_a_nested_one_give_the_key_that_the_pipeline_reads(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"meta":{"symbol":"X"},"symbol":"S\\u0050Y"}\n{"symbol":7}\n')
    assert rows(path)["symbol"].to_list() == ["SPY", None]


def test_csv_columns_become_events(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "c,v,seq,symbol,provider,kind,src_ts,note\n"
        "425.15,1200,183,SPY,feed,tick,2025-10-24T14:02:01.234567Z,x\n"
        "0.1,0.5,,SPY,feed,tick,2025-10-24T16:02:01.234567001+02:00,\n"
        f",1,1,SPY,feed,tick,{T0 + 5},\n"
    )
    sent = rows(path)
    assert sent["src_ts"].to_list() == [T0, T0 + 1, T0 + 5]
    assert sent["c"].to_list() == [425.15, 0.1, None]
    assert sent["seq"].to_list() == [183, None, 1]
    assert sent.schema == OUTGOING


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([T0, T0 + 1_000]),
        pl.Series([T0, T0 + 1_000]).cast(pl.Datetime("ns", "UTC")),
        pl.Series([T0 // 1_000, T0 // 1_000 + 1]).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(["2025-10-24T14:02:01.234567Z", "2025-10-24T14:02:01.234568Z"]),
    ],
)
def test_parquet_may_hold_times_as_numbers_timestamps_or_text(tmp_path: Path, times: pl.Series) -> None:
    path = tmp_path / "events.parquet"
    text = {name: ["x", "x"] for name in ("provider", "symbol", "kind")}
    pl.DataFrame({**text, "src_ts": times, "c": [1, 2], "v": [1.0, 2.0]}).write_parquet(path)
    sent = rows(path)
    assert sent["src_ts"].to_list() == [T0, T0 + 1_000]
    assert sent["c"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_large_files_come_in_chunks_in_order(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"events.{ending}"
    count = 120_001
    text = {name: pl.Series(["x"]).new_from_index(0, count) for name in ("provider", "symbol", "kind")}
    events = pl.DataFrame({**text, "src_ts": pl.int_range(T0, T0 + count, eager=True), "c": 1.0, "v": 1.0})
    getattr(events, f"write_{ending}")(path)
    chunks = list(EventFiles([path]).rows())
    assert [chunk.height for chunk in chunks] == [50_000, 50_000, 20_001]
    if ending != "ndjson":
        assert pl.concat(chunks)["src_ts"].equals(events["src_ts"])


def test_the_memory_for_lines_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    with path.open("wb") as file:
        for _ in range(300):
            file.write((b'{"symbol":"SPY","pad":"' + b"x" * 76 + b'"}\n') * 1_000)
    tracemalloc.start()
    assert sum(chunk.height for chunk in EventFiles([path]).rows()) == 300_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size


def test_disorder_is_measured_over_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(HEADER + "".join(f"f,S,tick,{T0 + 1_000 * i},1,1,{i}\n" for i in [*range(60_000), 7]))
    sent = sum((Sent.of(chunk) for chunk in EventFiles([path]).rows()), Sent())
    assert sent == Sent({"unchecked": 60_001}, T0, T0 + 59_999_000, 1_000 * (59_999 - 7))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("f,S,tick,yesterday,1,1,1", "row 3: src_ts is not a time such as 2025-10-24T14:02:01Z, but 'yesterday'"),
        ("f,S,tick,2025-10-24T14:02:01,1,1,1", "row 3: src_ts has no time zone.*, but '2025-10-24T14:02:01'"),
        (f"f,S,tick,{T0},dear,1,1", "row 3: c is not a finite number, but 'dear'"),
        (f"f,S,tick,{T0},1,1,1.5", r"row 3: seq is not a whole number of 64 bits, but '1.5'"),
    ],
)
def test_a_cell_of_the_wrong_type_is_named_with_its_row(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(HEADER + f"f,S,tick,{T0},1,1,1\n" + row + "\n")
    with pytest.raises(FileError, match=message):
        rows(path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("provider,symbol,src_ts,v\n")
    with pytest.raises(FileError, match="has no column kind, c: required are provider, symbol, kind, src_ts, c, v"):
        rows(path)


def test_naive_timestamps_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    times = pl.Series([T0]).cast(pl.Datetime("ns"))
    pl.DataFrame({"provider": "f", "symbol": "S", "kind": "tick", "src_ts": times, "c": 1.0, "v": 1.0}).write_parquet(
        path
    )
    with pytest.raises(FileError, match=r"row 1: src_ts has no time zone: name the zone .* with --zone"):
        rows(path)


def test_the_content_decides_where_the_ending_does_not(tmp_path: Path) -> None:
    lines, table, other = tmp_path / "a.json", tmp_path / "b", tmp_path / "c.txt"
    lines.write_bytes(b'{"symbol":"SPY"}\n{"symbol":"MSFT"}\n')
    pl.DataFrame({"provider": "f", "symbol": "S", "kind": "tick", "src_ts": T0, "c": 1.0, "v": 1.0}).write_parquet(
        table
    )
    other.write_text("SPY 425.15 1200\n")
    assert rows(lines)["symbol"].to_list() == ["SPY", "MSFT"]
    assert rows(table)["src_ts"].to_list() == [T0]
    with pytest.raises(FileError, match=r"c\.txt has an unknown format"):
        rows(other)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_what_is_no_file_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=r"is not a file$"):
        rows(tmp_path / name)


def test_a_broken_parquet_file_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(FileError, match="cannot be read") as raised:
        rows(path)
    assert "\n" not in str(raised.value)
