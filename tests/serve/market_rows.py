"""A page on rows that no flow has written: days of history in a second."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import yaml

from sinks.schema.migrate import migrate
from tests.serve.serving import server_process

LISTED = """
INSERT INTO series SELECT DISTINCT 'bars_ohlcv', provider, symbol, "interval" FROM bars_ohlcv
    UNION ALL SELECT DISTINCT 'features', provider, symbol, "interval" FROM features
    UNION ALL SELECT DISTINCT 'signals', provider, symbol, "interval" FROM signals
ON CONFLICT DO NOTHING"""


def store_rows(database: str, *statements: str, features: tuple[str, ...] = ()) -> None:
    """Creates the tables, and has the statements fill them."""
    migrate(database, features)
    with psycopg.connect(database) as connection:
        for statement in (*statements, LISTED):
            connection.execute(statement.encode())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ANALYZE")


@contextmanager
def page_of(database: str, folder: Path) -> Iterator[str]:
    """The address of `mdp serve` on a database."""
    with server_process(environment(database, folder)) as (address, _):
        yield address


def environment(database: str, folder: Path) -> Mapping[str, str]:
    """Of a process whose config names the database."""
    config = folder / "streaming.yaml"
    away = {"bus": {"kafka": {"brokers": "127.0.0.1:1"}}, "telemetry": {"metrics_port": 0}}
    config.write_text(yaml.safe_dump({"store": {"url": database}, **away}))
    return {**os.environ, "MDP_HOME": str(folder / "home"), "MDP_CONFIG": str(config)}


def bars(symbol: str, first: str, count: int, seconds: int, close: str = "100 + n % 7", provider: str = "feed") -> str:
    """Bars of a symbol, each `seconds` long, from a time on; `close` is an expression of their number `n`."""
    length = f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
    return f"""
        INSERT INTO bars_ohlcv
        SELECT '{provider}', '{symbol}', '{length}', at, at + interval '{seconds} seconds', close + n % 2 * 2 - 1,
            close + 2, close - 2, close, 10 + n % 3, close, 3, 0, 0, 'ticks', n, 0
        FROM (
            SELECT n, '{first}'::timestamptz + n * interval '{seconds} seconds' AS at, ({close})::float8 AS close
            FROM generate_series(0, {count - 1}) AS n
        ) AS made"""
