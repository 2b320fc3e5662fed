"""The examined deployment: its settings, and shared results of checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flows.spec import MARKET

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
if TYPE_CHECKING:
    import polars as pl
    import psycopg

    from flows.settings import Settings
    from transports.kafka.brokers import Cluster

FLOW: Final = MARKET
_TIMEOUT_MS: Final = 4_000


@dataclass
class Site:
    """A deployment of the market flow.

    Attributes:
        config: the file of the settings.
        workers: the actual or planned number of workers.
        sample: how many of the newest records of each partition are read.
        cluster: the brokers' metadata, once they have been reached.
        connection: to the database, once it has been reached.
        symbols: provider, symbol and partition of the newest events, once they have been read.
    """

    settings: Settings
    config: Path
    workers: int
    sample: int
    cluster: Cluster | None = field(default=None, init=False)
    connection: psycopg.Connection | None = field(default=None, init=False)
    symbols: pl.DataFrame | None = field(default=None, init=False)

    @property
    def known_cluster(self) -> Cluster:
        """The cluster, whose brokers must have been reached."""
        if self.cluster is None:
            raise LookupError("no broker has been reached")
        return self.cluster

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        """A transaction in the schema of the tables, on a site whose database has been reached."""
        from sinks.connection import settle_schema, transaction

        if self.connection is None:
            raise LookupError("no database has been reached")
        with transaction(self.connection, statement_timeout_ms=_TIMEOUT_MS) as connection:
            settle_schema(connection)
            yield connection

    def close(self) -> None:
        """Closes the connection to the database, if there is one."""
        if self.connection is not None:
            self.connection.close()
