"""Blocks of CSV that are parsed at once give what a reader of single lines gives."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.files import delimited, reader
from connectors.files.delimited import read_delimited
from connectors.files.layout import Layout
from connectors.files.maps import parse_map
from connectors.files.opening import Opened
from tests.connectors.mapped_tables import mapped

CELLS = st.text(st.sampled_from('ab1.,"\n\r é \t'), max_size=6)
PIECES = st.lists(
    st.sampled_from(["a", "1.5", ",", '"', '""', "\n", "\r\n", "\r", " ", "é", "x,y\n", "1,2\n"]), max_size=40
)


def found(text: str, rows: int = 7) -> tuple[list[tuple[object, ...]], list[tuple[int, str]]]:
    """The rows that are read with their numbers, and those that are broken."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(text.encode())
        pieces = list(read_delimited(Opened(path, "csv", None), Layout((1, 2), is_mapped=True, header=False), rows))
    whole = pl.concat([piece.values.with_columns(row=piece.numbers) for piece in pieces])
    return whole.rows(), [one for piece in pieces for one in piece.broken]


def expected(text: str) -> tuple[list[tuple[object, ...]], list[tuple[int, str]]]:
    """What the standard library reads."""
    reader = csv.reader(io.StringIO(text, newline=""))
    rows = [(row, reader.line_num) for row in reader if row]
    width = len(rows[0][0])
    good: list[tuple[object, ...]] = [
        (row[0] or None, row[1] or None, number) for row, number in rows if len(row) == width
    ]
    bad = [
        (number, f"the row has {len(row)} cells, and the first row {width}")
        for row, number in rows
        if len(row) != width
    ]
    return good, bad


@given(PIECES, st.sampled_from([8, 16, 1 << 20]))
def test_any_text_is_read_as_the_standard_library_reads_it(parts: list[str], block: int) -> None:
    text = "first,row\n" + "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", block)
        assert found(text) == expected(text)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=30), st.sampled_from([8, 64, 1 << 20]))
def test_what_is_written_is_read_back(rows: list[tuple[str, str]], block: int) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("first", "row"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", block)
        good, bad = found(buffer.getvalue())
    assert [row[:2] for row in good[1:]] == [(one or None, two or None) for one, two in rows]
    assert not bad


def test_a_row_that_is_wrong_has_the_number_of_its_line_far_behind_the_first_block() -> None:
    count = 50_000
    text = "first,row\n" + "a,1\n" * count + '"multi\nline",2\n' + "a\n" + "b,3\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", 4_096)
        good, bad = found(text, rows=10_000)
    assert bad == [(count + 4, "the row has 1 cells, and the first row 2")]
    assert good[-2:] == [("multi\nline", "2", count + 3), ("b", "3", count + 5)]


NUMBERS = st.sampled_from(
    [
        "1",
        "-2.5",
        "",
        " 3 ",
        "1e5",
        "0x10",
        "nan",
        "inf",
        "-inf",
        "1,5",
        "+4",
        "1.0",
        "007",
        "9223372036854775808",
        "x",
        "1_0",
    ]
)
MAP = {
    "type": "trades/v2",
    "columns": {
        "provider": {"value": "p"},
        "symbol": {"value": "S"},
        "time": {"column": 1, "unit": "s"},
        "price": 2,
        "size": {"column": 3, "scale": 0.01},
        "sequence": 4,
    },
}


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=12), st.sampled_from([16, 1 << 20]))
def test_numbers_that_are_parsed_with_their_block_are_those_of_single_cells(
    rows: list[tuple[str, ...]], block: int
) -> None:
    def read(*, at_once: bool) -> list[tuple[object, ...]]:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited, "_FIRST_BYTES", 8)
            patch.setattr(delimited, "_BLOCK_BYTES", block)
            if not at_once:
                patch.setattr(reader, "numbers_of", lambda *_: {})
            path = Path(folder) / "a.csv"
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([("time", "price", "size", "no"), *rows])
            columns = ("src_ts", "price", "size", "seq", "row", "flaw", "cell")
            return mapped(path, parse_map(MAP)).select(columns).rows()

    assert read(at_once=True) == read(at_once=False)


def test_numbers_are_parsed_with_their_block() -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_FIRST_BYTES", 8)
        path = Path(folder) / "a.csv"
        path.write_text("a,b\n1.5,2\n-0.25,\n")
        layout = Layout((1, 2), is_mapped=True, header=True, numbers={"column 1": "number", "column 2": "whole"})
        pieces = list(read_delimited(Opened(path, "csv", None), layout, 10))
    assert pieces[-1].values.schema == {"column 1": pl.Float64, "column 2": pl.Int64}
    assert pieces[-1].values.rows() == [(1.5, 2), (-0.25, None)]
