"""The job as in the documentation of Quix Streams: a reduced tumbling window, and the sink for PostgreSQL.

It runs in the environment of bench/peers.lock, with default state and changelog topics.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psycopg2.extensions import parse_dsn
from quixstreams import Application
from quixstreams.sinks.community.postgresql import PostgreSQLSink

from bench.meter import Meter

WINDOW_MS = 2000
GRACE_MS = 500
IDLE_SECONDS = 3.0  # without a new message; then the run is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--brokers", "--topic", "--conninfo"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="quix-") as state:
        app = application(asked.brokers, asked.topic, parse_dsn(asked.conninfo), Path(state))
        meter = Meter()
        meter.begin()
        app.run(timeout=IDLE_SECONDS)
        meter.report(waited=IDLE_SECONDS)


def application(brokers: str, topic: str, database: dict[str, str], state: Path) -> Application:
    app = Application(
        broker_address=brokers,
        consumer_group=database["dbname"],
        auto_offset_reset="earliest",
        state_dir=state,
        loglevel="WARNING",
    )
    sink = PostgreSQLSink(
        **database,
        password=None,  # libpq finds it in the file that the database's address names
        table_name="bars",
        primary_key_columns=["symbol", "window_start"],
        upsert_on_primary_key=True,
        include_metadata=False,
    )
    events = app.topic(topic, key_deserializer="str", value_deserializer="json", timestamp_extractor=event_time)
    windows = app.dataframe(events).tumbling_window(WINDOW_MS, GRACE_MS)
    windows.reduce(reducer=add, initializer=first).final().apply(row, metadata=True).sink(sink)
    return app


def event_time(value: dict[str, Any], *_: Any) -> int:
    """Milliseconds since the epoch."""
    return int(datetime.fromisoformat(value["src_ts"]).timestamp() * 1000)


def first(event: dict[str, Any]) -> dict[str, Any]:
    price, size, time = event["c"], event["v"], event["src_ts"]
    return {
        "ids": {event["event_id"]: 1},
        "first": time,
        "last": time,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": size,
        "turnover": price * size,
    }


def add(bar: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    if event["event_id"] in bar["ids"]:
        return bar
    price, size, time = event["c"], event["v"], event["src_ts"]
    bar["ids"][event["event_id"]] = 1
    if time < bar["first"]:
        bar["first"], bar["open"] = time, price
    if time > bar["last"]:
        bar["last"], bar["close"] = time, price
    bar["high"], bar["low"] = max(bar["high"], price), min(bar["low"], price)
    bar["volume"] += size
    bar["turnover"] += price * size
    return bar


def row(window: dict[str, Any], key: str, *_: Any) -> dict[str, Any]:
    bar = window["value"]
    return {
        "symbol": key,
        "window_start": datetime.fromtimestamp(window["start"] / 1000, UTC).replace(tzinfo=None),
        **{name: bar[name] for name in ("open", "high", "low", "close", "volume")},
        "vwap": bar["turnover"] / bar["volume"] if bar["volume"] else None,
        "trades": len(bar["ids"]),
    }


if __name__ == "__main__":
    main()
