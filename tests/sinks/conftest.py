"""Tests of the store run on plain PostgreSQL, and on a TimescaleDB where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from mdp.local import LocalStack
from tests.harness import empty_database

TIMESCALE = os.environ.get("MDP_TEST_TIMESCALE", "")  # leads a role that may create databases to its server
needs_timescale = pytest.mark.skipif(not TIMESCALE, reason="MDP_TEST_TIMESCALE names no server with TimescaleDB")


@contextmanager
def empty_timescale() -> Iterator[str]:
    """The conninfo of a new database with TimescaleDB, none of whose jobs moves rows while a test looks at them."""
    with empty_database(TIMESCALE) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as owner:
            owner.execute("CREATE EXTENSION timescaledb")
            owner.execute("SELECT _timescaledb_functions.stop_background_workers()")
        yield conninfo


@pytest.fixture(params=["PostgreSQL", pytest.param("TimescaleDB", marks=needs_timescale)])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The conninfo of an empty database of the test's own, on either server."""
    if request.param == "TimescaleDB":
        context = empty_timescale()
    else:
        stack: LocalStack = request.getfixturevalue("stack")
        context = empty_database(stack.postgres.conninfo())
    with context as conninfo:
        yield conninfo
