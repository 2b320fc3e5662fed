from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from mdp.doctor import database as checks
from mdp.doctor.site import Site
from sinks.missing_tables import MIGRATE, RESTORE
from sinks.queries.diagnosis import LATEST
from sinks.schema.tables import MIGRATIONS, TABLES
from tests.doctor.doctor_site import said


def change(site: Site, statement: str) -> None:
    with psycopg.connect(site.settings.store.url.get_secret_value(), autocommit=True) as connection:
        connection.execute(statement.encode())


def reached(site: Site, conninfo: str | None = None) -> Site:
    if conninfo is not None:
        store = site.settings.store.model_copy(update={"url": SecretStr(conninfo)})
        site.settings = site.settings.model_copy(update={"store": store})
    assert not said(checks.reach, site)
    return site


def test_tables_are_found_in_the_migrations() -> None:
    assert {"bars_ohlcv", "features", "signals", "progress"} < set(TABLES)
    assert len(TABLES) == sum(step.sql.count("CREATE TABLE") for step in MIGRATIONS)


def test_a_password_that_is_refused_is_told_with_its_remedy(site: Site) -> None:
    url = site.settings.store.url.get_secret_value()
    store = site.settings.store.model_copy(
        update={"url": SecretStr(make_conninfo(url, password="hunter2", passfile=""))}
    )
    site.settings = site.settings.model_copy(update={"store": store})
    [finding] = said(checks.reach, site)
    assert "hunter2" not in finding.text
    assert finding.remedy == "correct the user and the password in store.url, PGPASSWORD or PGPASSFILE"


def test_a_database_that_there_is_not_is_to_be_created(site: Site) -> None:
    url = make_conninfo(site.settings.store.url.get_secret_value(), dbname="nowhere")
    store = site.settings.store.model_copy(update={"url": SecretStr(url)})
    site.settings = site.settings.model_copy(update={"store": store})
    [finding] = said(checks.reach, site)
    assert finding.remedy == "create it, or set store.url"


def test_an_empty_database_has_no_tables_yet(site: Site) -> None:
    change(site, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    [finding] = said(checks.schema, reached(site))
    assert (finding.text, finding.remedy) == ("there are no tables yet", MIGRATE)
    assert not said(checks.permissions, site)
    assert not said(checks.edition, site)


def test_an_older_schema_is_to_be_migrated(site: Site) -> None:
    change(site, f"DROP TABLE flow_topics; DELETE FROM schema_version WHERE version = {LATEST}")
    [finding] = said(checks.schema, reached(site))
    assert finding.text == f"schema version {LATEST - 1}, and this program needs {LATEST}"
    assert finding.remedy == MIGRATE


def test_a_newer_schema_asks_for_a_newer_program(site: Site) -> None:
    change(site, f"INSERT INTO schema_version (version, name) VALUES ({LATEST + 1}, 'of tomorrow')")
    [finding] = said(checks.schema, reached(site))
    assert finding.remedy == "upgrade mdp"


def test_tables_and_columns_that_are_gone_are_named(site: Site) -> None:
    change(site, "DROP TABLE progress; DROP VIEW bars_5m; ALTER TABLE features DROP COLUMN ret_4s")
    gone, column = said(checks.schema, reached(site))
    assert (gone.text, gone.remedy) == ("missing: progress, bars_5m", RESTORE)
    assert column.text == "no column for ret_4s"


@pytest.fixture
def role(site: Site) -> Iterator[str]:
    """A role that may do what a worker does, and owns nothing."""
    name = f"worker_{conninfo_to_dict(site.settings.store.url.get_secret_value())['dbname']}"
    url = site.settings.store.url.get_secret_value()
    change(site, f"CREATE ROLE {name} NOLOGIN")
    change(site, f"GRANT ALL ON SCHEMA public TO {name}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    yield name
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def as_role(site: Site, role: str) -> Site:
    return reached(site, make_conninfo(site.settings.store.url.get_secret_value(), options=f"-c role={role}"))


def test_tables_of_somebody_else_are_worth_a_note(site: Site, role: str) -> None:
    assert not said(checks.permissions, as_role(site, role))
    [finding] = said(checks.permissions, site, "note")
    assert finding.text.startswith(f"{role} may not change bars_ohlcv, ")


def test_rights_that_were_taken_away_are_told_with_the_statement_that_gives_them_back(site: Site, role: str) -> None:
    name = conninfo_to_dict(site.settings.store.url.get_secret_value())["dbname"]
    change(site, f"REVOKE ALL ON schema_version FROM {role}")
    change(site, f"REVOKE INSERT, UPDATE ON signals FROM {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC, {role}")
    change(site, f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    owner = site.settings.store.url.get_secret_value()
    found = said(checks.permissions, as_role(site, role))
    assert [finding.text for finding in found] == [
        f"{role} may not create temporary tables",
        f"{role} may not create tables in the schema public",
        f"{role} may not SELECT on schema_version",
        f"{role} may not INSERT, UPDATE on signals",
    ]
    with psycopg.connect(owner, autocommit=True) as connection:
        for finding in found:
            connection.execute(finding.remedy.encode())
    assert not said(checks.permissions, site)


def test_a_role_that_cannot_see_the_tables_is_told_to_be_let_into_their_schema(site: Site, role: str) -> None:
    change(site, f"REVOKE ALL ON SCHEMA public FROM PUBLIC, {role}")
    owner = site.settings.store.url.get_secret_value()
    [finding] = said(checks.permissions, as_role(site, role))
    assert finding.text == f"{role} may not use the schema public"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(finding.remedy.encode())
    assert not said(checks.permissions, site)


def test_the_servers_clock_is_compared(site: Site) -> None:
    [finding] = checks.clock(reached(site))
    assert (finding.level, finding.text) == ("ok", "the database's clock is within 1 s of this machine's")
