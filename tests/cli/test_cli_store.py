import csv
import io
import json
from pathlib import Path

import polars as pl
import psycopg
import pytest
from cli_result import Config, Mdp
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from contracts.batch import MicroBatch
from contracts.frames import BARS, SIGNALS
from sinks.timescale import TimescaleWriter

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
    writer = TimescaleWriter(database, flow="f", features=("ret_4s",))
    bars, signals = pl.DataFrame([bar(k) for k in range(60)], BARS), pl.DataFrame([signal(0), signal(1)], SIGNALS)
    writer.write([MicroBatch(topic="t", partition=0, next_offset=60, bars=bars, signals=signals)])
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


def test_a_symbol_without_rows_is_an_empty_result_and_a_remark(mdp: Mdp, filled: Path) -> None:
    result = mdp("store", "features", "--symbol", "NONE", "--format", "json", "--config", filled)
    assert (result.code, json.loads(result.out), result.err) == (0, [], "no features of NONE\n")
