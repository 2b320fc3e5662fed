import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from contracts.batch import MicroBatch
from contracts.frames import BARS, SIGNALS
from sinks.merge import targets
from sinks.queries import export
from sinks.timescale import TimescaleWriter
from tests.cli.cli_result import Config, Mdp

TIMES = "%Y-%m-%dT%H:%M:%S%.6fZ"
SECOND = 1_000_000_000
T0 = 1_761_314_520 * SECOND  # 2025-10-24T14:02:00Z


def bar(k: int) -> dict[str, object]:
    start = T0 + 2 * k * SECOND
    key = {
        "provider": "sim",
        "symbol": "SPY",
        "interval": "2s",
        "window_start": start,
        "window_end": start + 2 * SECOND,
    }
    values = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 105433.6 + k, "volume": 3.0, "vwap": None}
    return {**key, **values, "trades": 3, "revision": 0, "offset": k, "row": 0}


def signal(k: int) -> dict[str, object]:
    key = {"signal_id": f"s{k}", "provider": "sim", "symbol": "SPY", "interval": "2s", "ts": T0 + 2 * k * SECOND}
    values = {"name": "up", "value": 1.0, "score": 0.5, "adapter": "rules", "meta": '{"window": "2s"}'}
    return {**key, **values, "offset": k, "row": 0}


@pytest.fixture
def filled(mdp: Mdp, config: Config, database: str) -> Path:
    """The config of a database with 60 bars and two signals of SPY."""
    path = config(url=database)
    assert mdp("store", "migrate", "--config", path).code == 0
    writer = TimescaleWriter(database, flow="f", targets=targets(("ret_4s",)))
    bars, signals = pl.DataFrame([bar(k) for k in range(60)], BARS), pl.DataFrame([signal(0), signal(1)], SIGNALS)
    writer.write([MicroBatch(topic="t", partition=0, next_offset=60, results={"bars": bars, "signals": signals})])
    writer.close()
    return path


def test_a_migration_tells_what_it_did_and_has_nothing_to_do_the_second_time(
    mdp: Mdp, config: Config, database: str
) -> None:
    path = config(url=database)
    first, second = (mdp("store", "migrate", "--config", path) for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert "feature column ret_4s" in first.out
    assert second.out == "nothing to do: the schema is up to date\n"


def test_a_migration_creates_the_database_that_is_missing(mdp: Mdp, config: Config, database: str) -> None:
    missing = make_conninfo(database, dbname=f"{conninfo_to_dict(database)['dbname']}_other")
    path = config(url=missing)
    assert "does not exist" in mdp("store", "bars", "--symbol", "SPY", "--config", path).err
    first, second = (mdp("store", "migrate", "--config", path) for _ in range(2))
    assert first.out.splitlines()[0] == f"database {conninfo_to_dict(missing)['dbname']}"
    assert second.out == "nothing to do: the schema is up to date\n"
    assert mdp("store", "bars", "--symbol", "SPY", "--config", path).code == 0


def test_a_role_that_may_not_create_databases_is_told_in_one_line(mdp: Mdp, config: Config, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE ROLE no_creator LOGIN PASSWORD 'x'")
        try:
            missing = make_conninfo(database, dbname="of_nobody", user="no_creator", password="x")
            result = mdp("store", "migrate", "--config", config(url=missing))
        finally:
            owner.execute("DROP ROLE no_creator")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "grant CREATEDB" in result.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-c default_transaction_read_only=on", "default_transaction_read_only is on; set it off"),
        ("-c role=pg_monitor", "permission denied for schema public; `mdp doctor` says what to grant"),
    ],
)
def test_a_database_that_takes_no_changes_says_so_with_what_to_do(
    mdp: Mdp, config: Config, database: str, options: str, words: str
) -> None:
    result = mdp("store", "migrate", "--config", config(url=make_conninfo(database, options=options)))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert words in result.err


def test_bars_as_csv_are_all_of_the_span_and_nothing_else(mdp: Mdp, filled: Path) -> None:
    span = ("--from", "2025-10-24T14:02:02Z", "--to", "2025-10-24T14:02:06Z")
    result = mdp("store", "bars", "--symbol", "SPY", *span, "--format", "csv", "--config", filled)
    found = list(csv.DictReader(io.StringIO(result.out)))
    assert [(row["window_start"], row["close"], row["vwap"]) for row in found] == [
        ("2025-10-24T14:02:02.000000Z", "105434.6", ""),
        ("2025-10-24T14:02:04.000000Z", "105435.6", ""),
    ]
    assert (result.code, result.err) == (0, "")


def test_signals_as_json_are_an_array_with_their_meta_inside(mdp: Mdp, filled: Path) -> None:
    found = json.loads(mdp("store", "signals", "-s", "SPY", "-f", "json", "--config", filled).out)
    assert [(row["ts"], row["name"], row["meta"]) for row in found] == [
        ("2025-10-24T14:02:00Z", "up", {"window": "2s"}),
        ("2025-10-24T14:02:02Z", "up", {"window": "2s"}),
    ]


def test_a_table_shows_the_last_rows_and_says_that_there_are_more(mdp: Mdp, filled: Path) -> None:
    result = mdp("store", "bars", "--symbol", "SPY", "--config", filled)
    assert (result.out.count("SPY"), result.err.count("last 50 rows")) == (50, 1)
    assert "105492.6" in result.out
    assert "source_offset" not in result.out


@pytest.mark.parametrize(("options", "rows"), [((), 60), (("--limit", "10"), 10)])
def test_what_is_complete_or_was_asked_for_is_not_remarked_on(
    mdp: Mdp, filled: Path, options: tuple[str, ...], rows: int
) -> None:
    result = mdp("store", "bars", "--symbol", "SPY", *options, "--format", "csv", "--config", filled)
    assert (result.out.count("SPY"), result.err) == (rows, "")


@pytest.fixture
def crowd(mdp: Mdp, config: Config, database: str) -> Path:
    """The config of a database with an hour of bars of two providers and intervals, and a signal."""
    path = config(url=database)
    assert mdp("store", "migrate", "--config", path).code == 0
    writer = TimescaleWriter(database, flow="f", targets=targets(("ret_4s",)))
    keys = [("sim", "SPY", "2s"), ("sim", "QQQ", "2s"), ("feed", "SPY", "2s"), ("sim", "SPY", "1m")]
    rows = [
        bar(k) | {"provider": provider, "symbol": symbol, "interval": interval, "offset": 9 * k + number}
        for k in range(1_800)
        for number, (provider, symbol, interval) in enumerate(keys)
        if interval == "2s" or k == 0
    ]
    bars, signals = pl.DataFrame(rows, BARS), pl.DataFrame([signal(0)], SIGNALS)
    results = {"bars": bars, "signals": signals}
    writer.write([MicroBatch(topic="t", partition=0, next_offset=20_000, results=results)])
    writer.close()
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_symbols_are_listed_with_what_there_is_of_them(mdp: Mdp, crowd: Path) -> None:
    found = rows_of(mdp("store", "symbols", "--format", "csv", "--config", crowd).out)
    assert [tuple(row.values()) for row in found] == [
        ("sim", "QQQ", "2s", "bars"),
        ("feed", "SPY", "2s", "bars"),
        ("sim", "SPY", "1m", "bars"),
        ("sim", "SPY", "2s", "bars signals"),
    ]
    some = mdp("store", "symbols", "--provider", "sim", "--interval", "2s", "-f", "csv", "--config", crowd).out
    assert [row["symbol"] for row in rows_of(some)] == ["QQQ", "SPY"]


@pytest.mark.parametrize(
    ("options", "series"),
    [
        ((), {("sim", "SPY", "2s"), ("sim", "QQQ", "2s"), ("feed", "SPY", "2s")}),
        (("--provider", "feed"), {("feed", "SPY", "2s")}),
        (("--interval", "1m"), {("sim", "SPY", "1m")}),
        (("--provider", "sim", "--symbol", "SPY"), {("sim", "SPY", "2s")}),
        (("--symbol", "SPY", "--interval", "1m"), {("sim", "SPY", "1m")}),
    ],
)
def test_the_last_rows_are_those_of_all_that_was_asked_for(
    mdp: Mdp, crowd: Path, options: tuple[str, ...], series: set[tuple[str, str, str]]
) -> None:
    found = rows_of(mdp("store", "bars", *options, "--limit", "6", "--format", "csv", "--config", crowd).out)
    assert {(row["provider"], row["symbol"], row["interval"]) for row in found} == series
    times = [row["window_start"] for row in found]
    assert times == sorted(times)
    assert len(found) == (1 if "1m" in options else 6)


def test_a_rollup_is_printed_like_the_bars_that_it_is_made_of(mdp: Mdp, crowd: Path) -> None:
    options = ("--rollup", "1h", "--symbol", "QQQ", "--format", "csv", "--config", crowd)
    found = rows_of(mdp("store", "bars", *options).out)
    assert [row["bucket"] for row in found] == ["2025-10-24T14:00:00.000000Z", "2025-10-24T15:00:00.000000Z"]
    assert sum(float(row["volume"]) for row in found) == 1_800 * 3.0


def test_a_symbol_that_is_nearly_right_is_set_right(mdp: Mdp, crowd: Path) -> None:
    assert mdp("store", "bars", "-s", "spy", "--config", crowd).err == "no bars of spy; did you mean SPY?\n"
    assert mdp("store", "features", "-s", "SPY", "--config", crowd).err == "no features of SPY\n"


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (("bars",), 3 * 1_800 + 1),
        (("bars", "--symbol", "SPY", "--provider", "sim", "--interval", "2s"), 1_800),
        (("bars", "--interval", "2s", "--from", "2025-10-24T14:02:02Z", "--to", "2025-10-24T14:02:06Z"), 6),
        (("bars", "--rollup", "1m", "--provider", "feed"), 60),
        (("bars", "--rollup", "1h", "--symbol", "QQQ"), 2),
        (("features",), 0),
        (("signals",), 1),
    ],
)
def test_a_parquet_file_holds_all_rows_of_what_csv_shows(
    mdp: Mdp, crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], rows: int
) -> None:
    monkeypatch.setattr(export, "_TEXT_BYTES", 100_000)
    file = tmp_path / "out.parquet"
    result = mdp("store", *options, "--parquet", file, "--config", crowd)
    assert (result.code, result.out) == (0, "")
    found = pl.read_parquet(file)
    assert found.height == rows
    metadata = pq.read_metadata(file)
    assert metadata.num_row_groups >= rows // 1_000
    shown = mdp("store", *options, "--limit", "100000", "--format", "csv", "--config", crowd).out
    assert found.columns == shown.splitlines()[0].split(",")
    keys = [
        name for name in ("provider", "symbol", "interval", "window_start", "bucket", "ts") if name in found.columns
    ]
    assert found.equals(found.sort(keys))
    texts = io.StringIO(found.sort(keys[3], "provider", "symbol", "interval").write_csv(datetime_format=TIMES))
    assert texts.getvalue() == shown


def test_a_file_stays_as_it_was_where_the_database_fails(mdp: Mdp, config: Config, tmp_path: Path) -> None:
    file = tmp_path / "out.parquet"
    file.write_bytes(b"before")
    assert mdp("store", "bars", "--parquet", file, "--config", config()).code == 2
    assert [(one.name, one.read_bytes()) for one in tmp_path.glob("out*")] == [("out.parquet", b"before")]


def test_a_file_takes_no_limit(mdp: Mdp, config: Config, tmp_path: Path) -> None:
    result = mdp("store", "bars", "--parquet", tmp_path / "x", "--limit", "3", "--config", config())
    assert (result.code, result.err.count("\n"), "--limit" in result.err) == (2, 1, True)


_PEAK = """
import resource, sys
from mdp.cli import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mb(path: Path, file: Path, *options: str) -> float:
    command = [sys.executable, "-c", _PEAK, "store", "bars", "--parquet", str(file), "--config", str(path), *options]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout) / 1_024


@pytest.mark.slow
def test_millions_of_rows_take_no_more_memory_than_some(filled: Path, database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("""
            INSERT INTO bars_ohlcv SELECT 'load', 'S' || n % 50, '2s', t, t + INTERVAL '2 s',
                1.1, 2.2, 0.1, n * 0.001, n, 1.5, 3, 0, 0, 'some.topic', n, 0
            FROM generate_series(1, 2000000) AS n, LATERAL (
                SELECT TIMESTAMPTZ '2025-01-01 00:00:00Z' + n / 50 * INTERVAL '2 s') AS at (t)""")
    file = tmp_path / "all.parquet"
    some, most = peak_mb(filled, file, "--to", "2025-01-01T00:30:00Z"), peak_mb(filled, file)
    assert pl.scan_parquet(file).select(pl.len()).collect().item() == 2_000_060
    assert most - some < 250, "all rows take three times as much"


def test_a_symbol_without_rows_is_an_empty_result_and_a_remark(mdp: Mdp, filled: Path) -> None:
    result = mdp("store", "features", "--symbol", "NONE", "--format", "json", "--config", filled)
    assert (result.code, json.loads(result.out), result.err) == (0, [], "no features of NONE\n")
