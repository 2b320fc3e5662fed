"""Checks of the database: the schema, TimescaleDB, what we may do there, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdp.doctor import clocks
from mdp.doctor.findings import Finding, note, ok, wrong
from mdp.doctor.site import Site

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
if TYPE_CHECKING:
    from sinks.hypertables import Edition

_MIGRATE = "run `mdp store migrate`"
_TIMEOUT_MS = 4_000
_MISSING = {
    "PLAIN": "no chunks, no compression, no retention, and rollups that are computed when they are asked for",
    "APACHE": "no compression, no retention, and rollups that are computed when they are asked for",
}


def reach(site: Site) -> Iterator[Finding]:
    """Whether it answers, and knows us."""
    from sinks import diagnosis
    from sinks.connection import StoreUnavailable, connect

    try:
        site.connection = connect(site.settings.store.url.get_secret_value(), statement_timeout_ms=_TIMEOUT_MS)
    except StoreUnavailable as error:
        yield wrong(f"the database cannot be reached: {error}", error.remedy)
        return
    info = site.connection.info
    where = f"{info.host}:{info.port}/{info.dbname}, as {diagnosis.role(site.connection)}"
    yield ok(f"PostgreSQL {diagnosis.server_version(site.connection)} at {where}")


def schema(site: Site) -> Iterator[Finding]:
    """Whether it is the one that this version of the program needs."""
    from sinks import diagnosis

    version = diagnosis.schema_version(site.open_connection)
    if version < diagnosis.LATEST:
        text = f"schema version {version}, and this program needs {diagnosis.LATEST}"
        yield wrong(text if version else "there are no tables yet", _MIGRATE)
        return
    if version > diagnosis.LATEST:
        yield wrong(f"schema version {version}, and this program knows {diagnosis.LATEST}", "upgrade mdp")
        return
    missing = diagnosis.missing_relations(site.open_connection)
    if missing:
        yield wrong(
            f"{', '.join(missing)} should be there and is not",
            f"bring it back from a backup; views are made anew if you {_MIGRATE}",
        )
    columns = [] if "features" in missing else diagnosis.missing_features(site.open_connection, _features(site))
    if columns:
        yield wrong(f"no column for {', '.join(columns)}", _MIGRATE)
    if not missing and not columns:
        yield ok(f"version {version}, with a column for each of {len(_features(site))} features")


def _features(site: Site) -> tuple[str, ...]:
    return site.settings.features.names


def edition(site: Site) -> Iterator[Finding]:
    """Which one there is, and what it lacks."""
    from sinks import diagnosis
    from sinks.hypertables import edition_of

    found = edition_of(site.open_connection)
    installed, available = diagnosis.timescale_version(site.open_connection)
    if installed is None:
        remedy = (
            f"the server has {available}: let the role create the extension, and {_MIGRATE}"
            if available
            else "use a server with TimescaleDB for years of data; for less it is not needed"
        )
        yield note(f"plain PostgreSQL: {_lacks(found)}", remedy)
        return
    ordinary = diagnosis.ordinary_tables(site.open_connection)
    if ordinary and not diagnosis.missing_relations(site.open_connection):
        yield wrong(f"{', '.join(ordinary)} not managed by TimescaleDB {installed}", _MIGRATE)
    if found.name in _MISSING:
        yield note(f"{found.value} {installed}: {_lacks(found)}", "use the image with the Community edition")
    elif not ordinary:
        yield ok(f"{found.value} {installed}")


def _lacks(found: Edition) -> str:
    return _MISSING.get(found.name, "")


def permissions(site: Site) -> Iterator[Finding]:
    """Whether a worker can start and write, and `mdp store migrate` change tables."""
    from sinks import diagnosis

    role = diagnosis.role(site.open_connection)
    lacking = list(diagnosis.lacking_rights(site.open_connection))
    for what, grant in lacking:
        yield wrong(f"{role} may not {what}", f"{grant};")
    others = diagnosis.others_tables(site.open_connection)
    if others:
        yield note(
            f"{role} may not change {', '.join(others)}, as an upgrade or another feature may have to",
            f"let the tables' owner {_MIGRATE} before, or give this role the tables",
        )
    elif not lacking:
        yield ok(f"{role} may write, and change tables")


def clock(site: Site) -> Iterator[Finding]:
    """How far it is from this machine's."""
    from sinks import diagnosis

    yield from clocks.judged("the database's clock", clocks.ahead(*diagnosis.clock(site.open_connection)))
