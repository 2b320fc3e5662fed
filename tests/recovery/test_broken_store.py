"""A database that somebody has changed under a running flow ends it with a line, whatever its closing meets."""

from __future__ import annotations

import re

import polars as pl
import psycopg
import pytest

from tests.harness import SECONDS, Deployments, produce_on_time, until
from tests.market import PARTITIONS, chunks, empty_topic

MARKET = pl.concat(list(chunks(30_000, symbols=20)))
HALF = MARKET.height // 2

DAMAGE = [
    "DROP TABLE bars_ohlcv CASCADE",
    "ALTER TABLE bars_ohlcv RENAME COLUMN open TO opening",
    "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE bars_ohlcv (x int)",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_cause_is_what_is_said(deploy: Deployments, damage: str) -> None:
    kafka = deploy.stack.kafka.bootstrap
    events = empty_topic(kafka)
    flow = deploy(events, partitions=PARTITIONS)
    produce_on_time(kafka, events, [MARKET[:HALF]], PARTITIONS)
    worker = flow.command("stream", "run", "--quiet")
    until(lambda: flow.has_caught_up() or worker.poll() is not None, "the first half")
    with psycopg.connect(flow.database, autocommit=True) as connection:
        connection.execute(damage)
    produce_on_time(kafka, events, [MARKET[HALF:]], PARTITIONS)
    assert worker.wait(SECONDS) == 2, flow.said.read_text()[-3000:]
    said = flow.said.read_text()
    assert re.search("^error: (the database|a table was dropped): ", said, re.MULTILINE)
    assert "Traceback" not in said
    assert "panic" not in said
