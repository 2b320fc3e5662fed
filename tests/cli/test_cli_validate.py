import json
from pathlib import Path

import polars as pl
import pytest
from cli_result import Mdp

TICK = {"ver": 1, "provider": "p", "symbol": "SPY", "kind": "tick", "src_ts": "2025-10-24T14:02:01Z", "c": 1.5, "v": 2}
SIGNAL = {
    "ver": 1,
    "provider": "p",
    "symbol": "SPY",
    "ts": "2025-10-24T14:02:02Z",
    "name": "up",
    "value": 1,
    "score": 0.5,
}


def findings(mdp: Mdp, file: Path, *options: str) -> tuple[dict[str, object], dict[str, list[int]]]:
    """The counts, and the first rows of every finding by its error; the exit code says whether there are any."""
    result = mdp("validate", "--file", file, "--json", *options)
    assert all("are taken for nanoseconds since 1970" in line for line in result.err.splitlines())
    found = json.loads(result.out)
    assert result.code == (1 if found["invalid"] else 0)
    return found, {one["error"]: one["first"] for one in found.pop("findings")}


def write(file: Path, *lines: object) -> Path:
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def test_wrong_lines_of_ndjson_are_counted_by_reason_with_their_numbers(mdp: Mdp, tmp_path: Path) -> None:
    negative, naive, future = (
        {**TICK, "v": -1},
        {**TICK, "src_ts": "2025-10-24T14:02:01"},
        {**TICK, "src_ts": "2199-01-01T00:00:00Z"},
    )
    file = write(tmp_path / "ticks.ndjson", TICK, negative, "", "{", negative, naive, TICK, negative, negative, future)
    counts, errors = findings(mdp, file)
    assert counts == {"contract": "event", "rows": 9, "valid": 2, "invalid": 7}
    assert errors == {
        "Input data was truncated": [4],
        "v is negative": [2, 5, 8],
        "src_ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds": [6],
        "src_ts is too far ahead of the record's own timestamp": [10],
    }


def test_the_same_mistake_at_another_byte_is_the_same_mistake(mdp: Mdp, tmp_path: Path) -> None:
    file = write(tmp_path / "ticks.ndjson", TICK, '{"a": nix}', '{"abc": nix}')
    assert findings(mdp, file)[1] == {"JSON is malformed: invalid character": [2, 3]}


def test_a_table_ends_with_the_sum(mdp: Mdp, tmp_path: Path) -> None:
    file = write(tmp_path / "ticks.ndjson", TICK, {**TICK, "v": -1})
    result = mdp("validate", "--file", file)
    assert (result.code, result.err) == (1, "")
    assert "v is negative" in result.out
    assert result.out.endswith("2 events, 1 valid, 1 invalid\n")


def test_signals_are_told_from_events_by_their_looks(mdp: Mdp, tmp_path: Path) -> None:
    file = write(tmp_path / "signals.ndjson", SIGNAL, {**SIGNAL, "score": "high"}, {**SIGNAL, "ts": "noon"})
    counts, errors = findings(mdp, file)
    assert counts == {"contract": "signal", "rows": 3, "valid": 1, "invalid": 2}
    assert errors == {
        "Expected `float`, got `str` - at `$.score`": [2],
        "ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds": [3],
    }


def test_a_contract_that_is_asked_for_goes_before_looks(mdp: Mdp, tmp_path: Path) -> None:
    counts, _ = findings(mdp, write(tmp_path / "ticks.ndjson", TICK), "--contract", "signal")
    assert counts == {"contract": "signal", "rows": 1, "valid": 0, "invalid": 1}


def test_wrong_values_of_csv_are_found_line_by_line(mdp: Mdp, tmp_path: Path) -> None:
    lines = ["provider,symbol,kind,src_ts,c,v,seq,note", "p,SPY,tick,2025-10-24T14:02:01Z,1.5,2,,x"]
    wrong = [
        "p,SPY,tick,2025-10-24T14:02:01Z,dear,2,1,",
        "p,,tick,2025-10-24T14:02:01Z,1.5,2,1,",
        "p,SPY,tick,2025-10-24T14:02:01Z,NaN,2,1,",
        "p,SPY,tick,2025-10-24T14:02:01Z,1.5,2,1.5,",
    ]
    nanoseconds = "p,SPY,tick,1761314521000000000,1.5,2,1,"
    counts, errors = findings(mdp, write(tmp_path / "ticks.csv", *lines, *wrong, nanoseconds))
    assert counts == {"contract": "event", "rows": 6, "valid": 2, "invalid": 4}
    assert errors == {
        "c is not a finite number": [3, 5],
        "symbol is missing": [4],
        "seq is not a whole number of 64 bits": [6],
    }


def test_a_missing_column_is_missing_in_every_row(mdp: Mdp, tmp_path: Path) -> None:
    file = write(tmp_path / "ticks.csv", "provider,symbol,kind,src_ts,v", *["p,SPY,tick,2025-10-24T14:02:01Z,1"] * 4)
    assert findings(mdp, file)[1] == {"c is missing": [2, 3, 4]}


@pytest.mark.parametrize(("zone", "invalid"), [("UTC", 0), (None, 2)])
def test_times_of_parquet_need_a_zone(mdp: Mdp, tmp_path: Path, zone: str | None, invalid: int) -> None:
    rows = pl.DataFrame([TICK, TICK]).with_columns(
        pl.lit(1_761_314_521_000_000).cast(pl.Datetime("us", zone)).alias("src_ts")
    )
    rows.write_parquet(tmp_path / "ticks.parquet")
    assert findings(mdp, tmp_path / "ticks.parquet")[0]["invalid"] == invalid


def test_signals_in_columns_keep_their_meta(mdp: Mdp, tmp_path: Path) -> None:
    rows = [{**SIGNAL, "meta": '{"price": 1}'}, {**SIGNAL, "meta": None}, {**SIGNAL, "meta": "[]"}]
    pl.DataFrame(rows).drop("ver").write_csv(tmp_path / "signals.csv")
    assert findings(mdp, tmp_path / "signals.csv")[1] == {"Expected `object | null`, got `array` - at `$.meta`": [4]}


def test_an_array_of_json_counts_its_items(mdp: Mdp, tmp_path: Path) -> None:
    file = tmp_path / "ticks.json"
    file.write_text(json.dumps([TICK, {**TICK, "kind": "rumour"}, 7], indent=2))
    counts, errors = findings(mdp, file)
    assert (counts["rows"], errors) == (
        3,
        {"kind is none of tick, bar, heartbeat": [2], "Expected `object`, got `int`": [3]},
    )


def test_trades_of_krakens_api_are_events(mdp: Mdp, tmp_path: Path) -> None:
    trades = [["105433.6", "0.5", 1762795433.97, "b", "l", "", 7], ["105433.7", "-0.5", 1762795434.1, "b", "l", "", 8]]
    file = tmp_path / "trades.json"
    file.write_text(json.dumps({"error": [], "result": {"XBTUSDT": trades, "last": "0"}}))
    assert findings(mdp, file)[1] == {"v is negative": [2]}


def test_an_empty_file_is_valid(mdp: Mdp, tmp_path: Path) -> None:
    counts, _ = findings(mdp, write(tmp_path / "ticks.ndjson"))
    assert counts == {"contract": None, "rows": 0, "valid": 0, "invalid": 0}


@pytest.mark.parametrize(("name", "content"), [("t.csv", b"a,b\n1,2\n"), ("t.parquet", b"PAR1junk"), ("t.csv", b"")])
def test_a_file_that_holds_nothing_of_the_kind_is_told_in_one_line(
    mdp: Mdp, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    result = mdp("validate", "--file", tmp_path / name)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: ")
