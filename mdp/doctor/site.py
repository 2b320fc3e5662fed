"""What is examined: the settings, and what several checks look at, found once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl
    import psycopg
    from confluent_kafka.admin._metadata import ClusterMetadata

    from flows.settings import Settings

FLOW: Final = "market"


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
    cluster: ClusterMetadata | None = field(default=None, init=False)
    connection: psycopg.Connection | None = field(default=None, init=False)
    symbols: pl.DataFrame | None = field(default=None, init=False)

    @property
    def known_cluster(self) -> ClusterMetadata:
        """That of a site whose brokers have been reached."""
        if self.cluster is None:
            raise LookupError("no broker has been reached")
        return self.cluster

    @property
    def open_connection(self) -> psycopg.Connection:
        """That of a site whose database has been reached."""
        if self.connection is None:
            raise LookupError("no database has been reached")
        return self.connection

    def close(self) -> None:
        """Ends the connection to the database, if there is one."""
        if self.connection is not None:
            self.connection.close()
