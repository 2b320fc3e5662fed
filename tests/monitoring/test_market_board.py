"""The dashboard of the market: what Grafana would ask a real database for, as the role that it has there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sinks.schema.migrate import migrate
from tests.monitoring.promql import CONFIGS, MARKET, panels
from tests.sinks.conftest import database  # noqa: F401 - on either server

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
END = START + timedelta(minutes=10)
CAUSE = "0, 'mdp.events', 0, 0"
PASSWORD = "it's a 'password'"

ROWS = f"""
INSERT INTO series SELECT relation, 'feed', symbol, '2s'
FROM unnest(ARRAY['bars_ohlcv', 'features', 'signals']) AS relation, unnest(ARRAY['A''1', 'B']) AS symbol;
INSERT INTO bars_ohlcv
SELECT 'feed', symbol, '2s', start, start + INTERVAL '2s', n, n + 2, n - 1, n + 1, 10, n, 3, 0, {CAUSE}
FROM unnest(ARRAY['A''1', 'B']) AS symbol,
    (SELECT n, '{START}'::timestamptz + n * INTERVAL '2s' FROM generate_series(0, 299) AS n) AS bar (n, start);
INSERT INTO signals SELECT signal::text, 'feed', symbol, '2s', '{START}'::timestamptz + n * INTERVAL '2s',
    name, 1, 0.5, 'rules', '{{"price": 7}}', {CAUSE}
FROM (VALUES (1, 'A''1', 1, 'up'), (2, 'A''1', 30, 'up'), (3, 'A''1', 30, 'down'), (4, 'B', 2, 'up'))
    AS made (signal, symbol, n, name);
INSERT INTO features
SELECT 'feed', 'A''1', '2s', '{START}'::timestamptz + n * INTERVAL '2s', {CAUSE}, n, NULL
FROM generate_series(1, 5) AS n;
"""


@pytest.fixture
def reader(database: str, debian_program: Callable[[str], str]) -> str:  # noqa: F811 - the fixture
    """The conninfo with which Grafana reads a database with some rows."""
    script = CONFIGS / "postgres" / "reader.sql"
    for _ in range(2):  # it may be run again
        command = [debian_program("psql"), "--no-psqlrc", f"--file={script}", database]
        ran = subprocess.run(
            command, env={**os.environ, "READER_PASSWORD": PASSWORD}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
    migrate(database, ("rsi", "vwap_1m"))  # after it: what is created later can be read too
    with psycopg.connect(database) as connection:
        connection.execute(ROWS)
    return make_conninfo(database, user="mdp_reader", password=PASSWORD, passfile="")


def chosen(query: str, **choices: str) -> str:
    """The query as Grafana sends it, with these choices made at the top of the dashboard."""
    quoted = {name: value.replace("'", "''") for name, value in choices.items()}
    query = re.sub(r"\$\{(\w+):sqlstring\}", lambda found: f"'{quoted[found[1]]}'", query)
    query = re.sub(r"\$\{(\w+):raw\}", lambda found: choices[found[1]], query)
    query = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{START.isoformat()}' AND '{END.isoformat()}'", query)
    query = query.replace("$__interval", "1m")
    assert "$" not in query
    return query


def asked(reader: str, title: str, bars: str = "bars_ohlcv", symbol: str = "A'1") -> list[dict[str, Any]]:
    """The rows that a panel gets."""
    [panel] = [panel for panel in panels(MARKET) if panel["title"] == title]
    [target] = panel["targets"]
    query = chosen(target["rawSql"], provider="feed", symbol=symbol, interval="2s", bars=bars)
    with psycopg.connect(reader, row_factory=psycopg.rows.dict_row) as connection:
        rows = connection.execute(query.encode()).fetchall()
    if target["format"] == "time_series":
        assert rows == sorted(rows, key=lambda row: row["time"]), "Grafana takes series in order of time only"
    return rows


def test_candles_are_the_bars_in_order_and_signals_lie_on_them(reader: str) -> None:
    candles = asked(reader, "Candles")
    assert [row["time"] for row in candles] == [START + timedelta(seconds=2 * n) for n in range(300)]
    assert [candles[7][name] for name in ("open", "high", "low", "close", "volume", "vwap")] == [7, 9, 6, 8, 10, 7]
    assert {row["time"]: row["signal"] for row in candles if row["signal"] is not None} == {
        START: 1,
        START + timedelta(seconds=58): 30,
    }


@pytest.mark.parametrize(("bars", "seconds"), [("bars_1m", 60), ("bars_5m", 300), ("bars_1h", 3_600)])
def test_longer_candles_have_the_signals_of_their_windows(reader: str, bars: str, seconds: int) -> None:
    candles = {row["time"]: row for row in asked(reader, "Candles", bars)}
    if bars == "bars_1h":
        assert not candles, "it began before the time shown"
        return
    assert list(candles) == [START + timedelta(seconds=seconds * n) for n in range(600 // seconds)]
    assert [time for time, row in candles.items() if row["signal"] is not None] == [START]
    assert candles[START]["signal"] == candles[START]["close"] == seconds / 2
    assert sum(row["value"] for row in asked(reader, "Trades", bars)) == 900


def test_signals_are_those_of_the_symbol_and_counts_those_of_all(reader: str) -> None:
    assert [(row["name"], row["price"]) for row in asked(reader, "Signals")] == [("down", 7), ("up", 7), ("up", 7)]
    counts = [(row["time"] - START, row["metric"], row["value"]) for row in asked(reader, "Signals by name")]
    assert counts == [(timedelta(0), "up", 2), (timedelta(minutes=1), "down", 1), (timedelta(minutes=1), "up", 1)]


def test_features_are_the_newest_each_by_its_name(reader: str) -> None:
    rows = [(row["feature"], row["value"]) for row in asked(reader, "Features")]
    assert rows == [("rsi", 5), ("vwap_1m", None)]


def test_the_choices_are_the_series_that_have_bars(reader: str) -> None:
    variables = {each["name"]: each for each in json.loads(MARKET.read_text(encoding="utf-8"))["templating"]["list"]}
    made: dict[str, str] = {}
    with psycopg.connect(reader) as connection:
        for name in ("provider", "symbol", "interval"):
            found = [value for (value,) in connection.execute(chosen(variables[name]["query"], **made).encode())]
            assert found == {"provider": ["feed"], "symbol": ["A'1", "B"], "interval": ["2s"]}[name]
            made[name] = found[0]
        for relation in re.findall(r": (\w+)", variables["bars"]["query"]):
            connection.execute(f"SELECT FROM {relation}".encode())


def test_the_role_changes_nothing(reader: str) -> None:
    for statement in ("DELETE FROM bars_ohlcv", "CREATE TABLE mine (a int)", "UPDATE progress SET late = 0"):
        with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_every_panel_says_what_it_shows_and_asks_the_chosen_database() -> None:
    for panel in panels(MARKET):
        assert panel["description"].endswith(".")
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "grafana-postgresql-datasource", "uid": "${database}"} for source in asked)
