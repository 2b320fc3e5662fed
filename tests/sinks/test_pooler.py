"""Through PgBouncer, which gives every transaction whatever session of the server is free."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mdp.local import placement, ports
from sinks.merge import targets
from sinks.queries import stored
from sinks.queries.live import LiveReader, Series
from sinks.runs.names import tables_of
from sinks.schema.job_runs import start_run
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.harness import until
from tests.sinks.database_rows import bar, batch, feature, select, signal
from tests.sinks.run_tables import made

pytestmark = pytest.mark.parametrize("database", ["PostgreSQL"], indirect=True)

CONFIG = """
[databases]
pooled = host={host} port={port} dbname={dbname} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_round_robin = 1
"""


@pytest.fixture
def pooled(database: str, debian_program: Callable[[str], str]) -> Iterator[str]:
    """The conninfo of the test's database by way of a pool of three sessions."""
    program = debian_program("pgbouncer")
    user, server = placement.server_user(), conninfo_to_dict(database)
    password = Path(str(server["passfile"])).read_text().strip().rpartition(":")[2]
    (listen,) = ports.choose(range(21_000, 22_000), 1)
    folder = placement.prepare(Path(tempfile.mkdtemp(prefix="mdp-pooler-")), user)
    config = folder / "pgbouncer.ini"
    config.write_text(CONFIG.format(**server, password=password, listen=listen))
    config.chmod(0o600)
    if user is not None:
        os.chown(config, user, user)
    pooler = subprocess.Popen([program, "-q", config], user=user, cwd=folder, stderr=subprocess.DEVNULL)
    conninfo = make_conninfo(host="127.0.0.1", port=listen, dbname="pooled", user=server["user"])
    try:
        until(lambda: answers(conninfo), "PgBouncer")
        yield conninfo
    finally:
        pooler.terminate()
        pooler.wait()
        shutil.rmtree(folder)


def answers(conninfo: str) -> bool:
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return False
    return True


def test_what_is_written_and_read_does_not_depend_on_whose_session_it_is(pooled: str, database: str) -> None:
    assert migrate(pooled, ["rsi"])
    assert migrate(pooled, ["rsi"]) == []
    writers = [TimescaleWriter(pooled, flow=flow, targets=targets(("rsi",))) for flow in "abcde"]
    with closing(LiveReader(pooled)) as reader:
        for k in range(10):  # more often than a statement is sent before it would get a name
            for writer, symbol in zip(writers, "ABCDE", strict=True):
                rows = batch(
                    bars=[bar(symbol, k, revision=k % 2)],
                    features=[feature(symbol, k, rsi=0.5)],
                    signals=[signal(symbol, k)],
                    names=("rsi",),
                    next_offset=k + 1,
                )
                assert set(writer.write([rows]).changed.values()) == {1}
                assert set(writer.write([rows]).changed.values()) == {0}
            series = Series("sim", "C", "2s")
            assert len(reader.bars([series], 100)[series]) == k + 1
    for writer in writers:
        writer.close()
    start_run(pooled, uuid.uuid4(), "stream", {})
    assert stored.totals(pooled) == {"bars_ohlcv": 50, "features": 50, "signals": 50}
    assert select(database, "SELECT flow, next_offset FROM progress ORDER BY flow") == [(flow, 10) for flow in "abcde"]


def test_writers_of_other_features_do_not_take_each_others_staging_tables(pooled: str) -> None:
    for names in (("rsi",), ("rsi", "vwap"), ("vwap",)):
        migrate(pooled, names)
        with closing(TimescaleWriter(pooled, flow="f", targets=targets(names))) as writer:
            for k in range(4):
                row = feature(len(names) * "F" + names[0], k, **dict.fromkeys(names, 0.5))
                assert writer.write([batch(features=[row], names=names)]).changed["features"] == 1


def test_each_run_writes_and_reads_its_own_tables(pooled: str) -> None:
    migrate(pooled, ["rsi"])
    made(pooled, "first")
    for k in range(3):
        for name in ("second", "third"):
            made(pooled, f"{name}_{k}", batch(bars=[bar(name)]))
            assert stored.symbols(tables_of(pooled, f"{name}_{k}"))["symbol"].to_list() == [name]
    assert stored.totals(tables_of(pooled, "first"))["bars_ohlcv"] == 0
    assert stored.totals(pooled)["bars_ohlcv"] == 0
