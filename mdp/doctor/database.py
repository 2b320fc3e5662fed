"""Checks of the database: the schema, TimescaleDB, our permissions, and its clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdp.doctor import clocks
from mdp.doctor.findings import Finding, note, ok, wrong
from mdp.doctor.site import Site

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
if TYPE_CHECKING:
    import psycopg

    from sinks.schema.hypertables import Edition

_MIGRATE = "run `mdp store migrate`"
_MISSING = {
    "PLAIN": "no chunks, no compression, no retention, and rollups that are computed on every query",
    "APACHE": "no compression, no retention, and rollups that are computed on every query",
}


def reach(site: Site) -> Iterator[Finding]:
    """Whether it answers, and accepts our credentials."""
    from sinks.connection import StoreUnavailable, connect
    from sinks.queries import diagnosis

    try:
        site.connection = connect(site.settings.store.url.get_secret_value())
    except StoreUnavailable as error:
        yield wrong(f"the database cannot be reached: {error}", error.remedy)
        return
    info = site.connection.info
    with site.database() as connection:
        where = f"{info.host}:{info.port}/{info.dbname}, as {diagnosis.role(connection)}"
        yield ok(f"PostgreSQL {diagnosis.server_version(connection)} at {where}")


def schema(site: Site) -> Iterator[Finding]:
    """Whether the schema is the one that this version of the program needs."""
    with site.database() as connection:
        yield from _schema(connection, site.settings.features.names)


def _schema(connection: psycopg.Connection, features: Sequence[str]) -> Iterator[Finding]:
    from sinks.missing_tables import RESTORE, remedy
    from sinks.queries import diagnosis
    from sinks.schema.tables import TABLES

    version = diagnosis.schema_version(connection)
    if version < diagnosis.LATEST:
        text = f"schema version {version}, and this program needs {diagnosis.LATEST}"
        yield wrong(text if version else "there are no tables yet", remedy(connection))
        return
    if version > diagnosis.LATEST:
        yield wrong(f"schema version {version}, and this program knows {diagnosis.LATEST}", "upgrade mdp")
        return
    missing = diagnosis.missing_relations(connection)
    if missing:
        yield wrong(f"missing: {', '.join(missing)}", RESTORE if set(missing) & set(TABLES) else _MIGRATE)
    columns = [] if "features" in missing else diagnosis.missing_features(connection, features)
    if columns:
        yield wrong(f"no column for {', '.join(columns)}", _MIGRATE)
    if not missing and not columns:
        yield ok(f"version {version}, with a column for each of {len(features)} features")


def edition(site: Site) -> Iterator[Finding]:
    """The edition of TimescaleDB, and what it lacks."""
    with site.database() as connection:
        yield from _edition(connection)


def _edition(connection: psycopg.Connection) -> Iterator[Finding]:
    from sinks.queries import diagnosis
    from sinks.schema.hypertables import OLDEST, edition_of

    found = edition_of(connection)
    installed, available = diagnosis.timescale_version(connection)
    if installed is None:
        remedy = (
            f"the server has {available}: let the role create the extension, and {_MIGRATE}"
            if available
            else "use a server with TimescaleDB for years of data; for less it is not needed"
        )
        yield note(f"plain PostgreSQL: {_lacks(found)}", remedy)
        return
    ordinary = diagnosis.ordinary_tables(connection)
    if ordinary and not diagnosis.missing_relations(connection):
        yield wrong(f"{', '.join(ordinary)} not managed by TimescaleDB {installed}", _MIGRATE)
    if found.name in _MISSING:
        yield note(f"{found.value} {installed}: {_lacks(found)}", "use the image with the Community edition")
    elif diagnosis.is_older(installed, OLDEST):
        yield wrong(f"{found.value} {installed} has bugs that give wrong results", f"upgrade it to {OLDEST} or newer")
    elif not ordinary:
        yield ok(f"{found.value} {installed}")
    for job, name, error in diagnosis.failed_jobs(connection):
        yield wrong(f"{job} failed on {name}: {error}", _remedy(error))


def _remedy(error: str) -> str:
    from sinks.connection import OUT_OF_LOCKS_REMEDY

    return OUT_OF_LOCKS_REMEDY if "shared memory" in error else f"{_MIGRATE}, which does it in pieces"


def _lacks(found: Edition) -> str:
    return _MISSING.get(found.name, "")


def permissions(site: Site) -> Iterator[Finding]:
    """Whether a worker can start and write, and `mdp store migrate` change tables."""
    with site.database() as connection:
        yield from _permissions(connection)


def _permissions(connection: psycopg.Connection) -> Iterator[Finding]:
    from sinks.connection import READ_ONLY_REMEDY
    from sinks.queries import diagnosis

    if diagnosis.is_read_only(connection):
        yield wrong("default_transaction_read_only is on: nothing can be written", READ_ONLY_REMEDY)
    role = diagnosis.role(connection)
    lacking = list(diagnosis.lacking_rights(connection))
    for what, grant in lacking:
        yield wrong(f"{role} may not {what}", f"{grant};")
    others = diagnosis.foreign_tables(connection)
    if others:
        yield note(
            f"{role} may not change {', '.join(others)}, which an upgrade or a new feature may require",
            f"let the tables' owner {_MIGRATE} first, or make this role their owner",
        )
    elif not lacking:
        yield ok(f"{role} may write, and change tables")


def clock(site: Site) -> Iterator[Finding]:
    """The difference between its clock and this machine's."""
    from sinks.queries import diagnosis

    with site.database() as connection:
        yield from clocks.verdict("the database's clock", clocks.ahead(*diagnosis.clock(connection)))
