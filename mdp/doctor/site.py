"""What is examined: the settings, and what several checks look at, found once."""

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
        config: the file that the settings are from.
        workers: how many there are, or are meant to be.
        sample: how many of the newest records of each partition are looked at.
        cluster: what the brokers know, once they have been reached.
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
        """That of a site whose brokers have been reached."""
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
        """Ends the connection to the database, if there is one."""
        if self.connection is not None:
            self.connection.close()
