import json
from pathlib import Path

import polars as pl
import pytest

from contracts.golden import FOLDER
from tests.cli.cli_result import Mdp

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
    assert all("are read as nanoseconds since 1970" in line for line in result.err.splitlines())
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


QUOTE = {"symbol": "NQZ5", "venue": "CME", "bid": 6701.25, "ask": 6701.5, "bid_size": 8, "ask_size": 6}
ENVELOPE = {
    "envelope_version": "1.0",
    "event_id": "019a29c1-8f00-7abc-8def-0123456789ab",
    "event_type": "quotes.tick",
    "source_id": "ibkr",
    "schema_ref": "utp://schemas/quotes/v2",
    "event_time": "2025-10-28T07:14:29.312Z",
    "ingest_time": "2025-10-28T07:14:29.987Z",
    "payload": QUOTE,
}


def test_envelopes_are_checked_with_what_they_hold(mdp: Mdp, tmp_path: Path) -> None:
    empty, unknown = {**ENVELOPE, "payload": {"symbol": "A"}}, {**ENVELOPE, "schema_ref": "utp://schemas/rumours/v1"}
    counts, errors = findings(
        mdp, write(tmp_path / "quotes.ndjson", ENVELOPE, empty, unknown, {**ENVELOPE, "payload": 1})
    )
    assert counts == {"contract": "envelope", "rows": 4, "valid": 1, "invalid": 3}
    assert errors == {
        "bid, ask and mid are missing: a quote has one of them at least": [2],
        "schema_ref names a type that is not known: utp://schemas/rumours/v1": [3],
        "payload is not an object": [4],
    }


def test_an_envelope_that_is_written_over_several_lines_is_one(mdp: Mdp, tmp_path: Path) -> None:
    file = tmp_path / "quote.json"
    file.write_text(json.dumps(ENVELOPE, indent=2))
    assert findings(mdp, file)[0] == {"contract": "envelope", "rows": 1, "valid": 1, "invalid": 0}


def test_bars_are_told_by_their_looks(mdp: Mdp, tmp_path: Path) -> None:
    bar = {
        "ver": 1,
        **{name: TICK[name] for name in ("provider", "symbol")},
        "interval": "2s",
        "window_start": "2025-10-24T14:02:00Z",
        "window_end": "2025-10-24T14:02:02Z",
        **dict.fromkeys(("open", "high", "low", "close", "vwap"), 1.5),
        "volume": 2,
        "trades": 1,
        "revision": 0,
    }
    counts, errors = findings(mdp, write(tmp_path / "bars.ndjson", bar, {**bar, "trades": -1}))
    assert (counts["contract"], counts["valid"]) == ("bar", 1)
    assert errors == {"Expected `int` >= 0 - at `$.trades`": [2]}


def test_a_file_is_checked_by_the_type_that_is_asked_for(mdp: Mdp, tmp_path: Path) -> None:
    rows = ["symbol,price,size,side", "BTC-USD,114250.13,0.0042,buy", "BTC-USD,114250.1,-1,", "BTC-USD,1,1,hold"]
    counts, errors = findings(mdp, write(tmp_path / "trades.csv", *rows), "--contract", "trades/v2")
    assert counts == {"contract": "trades/v2", "rows": 3, "valid": 1, "invalid": 2}
    assert errors == {"Expected `float` >= 0.0 - at `$.size`": [3], "Invalid enum value 'hold' - at `$.side`": [4]}


def test_all_files_of_a_folder_are_checked_each_by_its_looks(mdp: Mdp, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "a.ndjson", TICK)
    write(tmp_path / "deep" / "b.jsonl", SIGNAL, {**SIGNAL, "score": "high"})
    write(tmp_path / "c.json", ENVELOPE)
    (tmp_path / "README.md").write_text("no messages")
    result = mdp("validate", "--dir", tmp_path, "--json")
    found = {Path(one["file"]).name: (one["contract"], one["valid"], one["invalid"]) for one in json.loads(result.out)}
    assert result.code == 1
    assert found == {"a.ndjson": ("event", 1, 0), "b.jsonl": ("signal", 1, 1), "c.json": ("envelope", 1, 0)}
    assert "a.ndjson: 1 events, 1 valid, 0 invalid\n" in mdp("validate", "--dir", tmp_path).out


def test_the_golden_envelopes_are_what_they_say(mdp: Mdp) -> None:
    result = mdp("validate", "--dir", FOLDER, "--json")
    found = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert {(one["contract"], one["valid"], one["invalid"]) for one in found} == {("golden envelope", 1, 0)}
    assert len(found) == len(list(FOLDER.rglob("*.json"))) >= 30


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"payload_json": {**ENVELOPE, "payload": {"symbol": "A"}}}, "bid, ask and mid are missing"),
        (
            {
                "payload_json": {
                    **ENVELOPE,
                    "schema_ref": "utp://schemas/trades/v2",
                    "payload": {"symbol": "A", "price": 1, "size": 1},
                }
            },
            "the payload's schema_ref is another than utp://schemas/quotes/v2, which its headers name",
        ),
        ({"schema_fqdn": "utp.rumours.v1"}, "schema_fqdn names a type that is not known: utp.rumours.v1"),
        ({"producer": ""}, "header producer: missing"),
    ],
)
def test_a_golden_envelope_that_is_not_what_it_says_is_told(
    mdp: Mdp, tmp_path: Path, changes: dict[str, object], error: str
) -> None:
    golden = json.loads((FOLDER / "quotes-v2" / "typical.json").read_text())
    golden["headers"] |= {name: value for name, value in changes.items() if name in golden["headers"]}
    golden |= {name: value for name, value in changes.items() if name in golden}
    file = tmp_path / "golden.json"
    file.write_text(json.dumps(golden, indent=2))
    counts, errors = findings(mdp, file)
    assert (counts["contract"], counts["invalid"]) == ("golden envelope", 1)
    assert any(error in one for one in errors), errors


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ((), "name one of them"),
        (("--file", "a.csv", "--dir", "."), "name one of them"),
        (("--dir", "{folder}"), "holds no files to check"),
        (("--file", "{folder}/t.ndjson", "--contract", "trade/v2"), "did you mean trades/v2?"),
    ],
)
def test_what_cannot_be_checked_is_one_line(mdp: Mdp, tmp_path: Path, options: tuple[str, ...], error: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    result = mdp("validate", *(option.format(folder=folder) for option in options))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert error in result.err
