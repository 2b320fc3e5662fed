"""Runs have tables of their own, which nothing else can get into, and a row that says what they are."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sinks.conninfo import in_schema, schema_apart
from sinks.merge import targets
from sinks.queries import stored
from sinks.runs import registry
from sinks.runs.counts import counted
from sinks.runs.names import RunError, schema_of, tables_of
from sinks.runs.span import Span
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import bar, batch, everything, feature, select, signal
from tests.sinks.run_tables import ALL, made, part, planned, window, write

ROWS = batch(
    bars=[bar("A", 0), bar("B", 1, trades=5)],
    features=[feature("A", 1, rsi=0.5)],
    signals=[signal("A", 1), signal("A", 2, name="other"), signal("B", 2)],
    names=("rsi",),
    next_offset=3,
)


@pytest.fixture
def live(database: str) -> str:
    """The database, with live tables that are empty."""
    migrate(database, ["rsi"])
    return database


@pytest.mark.parametrize("name", ["", "A", "a-b", "a.b", 'a"b', "a b", "x" * 49, "live", "ä"])
def test_a_name_that_could_mean_anything_else_is_refused(name: str) -> None:
    with pytest.raises(RunError):
        schema_of(name)


@pytest.mark.parametrize("given", ["host=h dbname=d", "postgresql://u:p%40@h/d", "host=h options='-c role=r'"])
def test_a_schema_is_taken_out_of_a_conninfo_as_it_was_put_in(given: str) -> None:
    parameters, schema = schema_apart(in_schema(given, "run_a"))
    assert (parameters, schema) == (conninfo_to_dict(given), "run_a")
    assert schema_apart(given) == (conninfo_to_dict(given), None)


def test_what_a_run_writes_is_in_its_tables_and_nowhere_else(live: str) -> None:
    write(live, batch(bars=[bar("LIVE")]))
    before = everything(live)
    tables = made(live, "a", ROWS)
    made(live, "b")
    assert everything(live) == before
    assert stored.totals(tables) == {"bars_ohlcv": 2, "features": 1, "signals": 3}
    assert stored.totals(tables_of(live, "b")) == {"bars_ohlcv": 0, "features": 0, "signals": 0}
    assert [*stored.symbols(tables)["symbol"]] == ["A", "B"]
    assert select(live, "SELECT count(*) FROM run_a.bars_1m") == [(2,)]


def test_without_its_schema_a_run_writes_nothing_into_the_live_tables(live: str) -> None:
    before = everything(live)
    with pytest.raises(psycopg.errors.UndefinedTable):
        TimescaleWriter(tables_of(live, "gone"), flow="f", targets=targets(("rsi",))).write([ROWS])
    assert everything(live) == before


def test_what_a_run_has_written_is_counted_by_name_and_part(live: str) -> None:
    tables = made(live, "a", ROWS)
    whole = counted(tables, ALL, part(None, None))
    assert whole.known == {"events": 8, "bars": 2, "features": 1, "signals": {"cross": 2, "other": 1}}
    assert str(whole) == "8 events, 2 bars, 1 features, 3 signals (cross 2, other 1)"
    second = counted(tables, ALL, part(1, 2))  # its features and signals stand at its end
    assert second.known == {"events": 5, "bars": 1, "features": 0, "signals": {"cross": 1, "other": 1}}
    assert counted(tables, ("bars_ohlcv",), part(1, 2)).known == {"events": 5, "bars": 1}
    assert counted(tables, ALL, part(None, None), "another topic").is_empty
    assert counted(tables, ALL, part(None, None, "1m")).is_empty


def test_a_window_that_is_cut_by_an_end_of_the_range_does_not_belong_to_it(live: str) -> None:
    tables = made(live, "a", ROWS)
    narrow = part(0, 2)._replace(span=Span(window(0).replace(microsecond=1), window(2).replace(microsecond=0)))
    assert counted(tables, ALL, narrow).bars == 1


def test_runs_are_listed_with_what_they_are_about(live: str) -> None:
    made(live, "a", ROWS, span=Span(window(0), window(9)))
    made(live, "b")
    a, b = registry.runs(live)
    assert (a.name, a.span, a.status, a.counts) == ("a", Span(window(0), window(9)), "finished", {"bars": 1})
    assert (b.name, b.span, b.config) == ("b", Span(), {"micro_batch": {"window_ms": 2_000}})
    with pytest.raises(RunError, match="there is no run c"):
        registry.find(live, "c")
    made(live, "calmer")
    with pytest.raises(RunError, match="did you mean calmer"):
        registry.find(live, "calmr")


def test_the_name_of_a_finished_run_is_taken_until_it_is_replaced_or_dropped(live: str) -> None:
    tables = made(live, "a", ROWS)
    with registry.reserved(live, "a"), pytest.raises(RunError, match="there is already a run a"):
        registry.begin(live, planned("a"), replace=False)
    assert stored.totals(tables)["bars_ohlcv"] == 2
    with registry.reserved(live, "a"):
        registry.begin(live, planned("a"), replace=True)
    assert registry.find(live, "a").status == "killed"
    made(live, "a")  # an unfinished one gives way
    assert stored.totals(tables)["bars_ohlcv"] == 0
    registry.drop(live, "a")
    assert registry.runs(live) == []
    assert select(live, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'run%'") == []


def test_a_name_is_held_by_one_process_at_a_time_and_by_none_that_has_ended(live: str) -> None:
    with registry.reserved(live, "a"):
        registry.begin(live, planned("a"), replace=False)
        assert registry.find(live, "a").status == "running"
        with registry.reserved(live, "b"), pytest.raises(RunError, match="run a is in progress"):
            held_elsewhere(live, "a")
    assert registry.find(live, "a").status == "killed"
    with pytest.raises(ZeroDivisionError), registry.reserved(live, "a"):
        raise ZeroDivisionError
    held_elsewhere(live, "a")


def held_elsewhere(conninfo: str, name: str) -> None:
    """By another session, as of another process."""
    raised: list[BaseException] = []

    def hold() -> None:
        try:
            with registry.reserved(conninfo, name):
                pass
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_a_schema_of_somebody_elses_is_left_alone(live: str) -> None:
    with psycopg.connect(live, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA run_a; CREATE TABLE run_a.own (n integer)")
    with pytest.raises(RunError, match="schema run_a"):
        registry.begin(live, planned("a"), replace=True)
    assert select(live, "SELECT count(*) FROM run_a.own") == [(0,)]
    assert registry.runs(live) == []


def test_a_role_that_may_make_no_schema_is_told_what_to_grant(live: str) -> None:
    role = f"worker_{conninfo_to_dict(live)['dbname']}"
    with psycopg.connect(live, autocommit=True) as owner:
        for statement in (
            "CREATE ROLE {}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}",
        ):
            owner.execute(sql.SQL(statement).format(sql.Identifier(role)))
        with pytest.raises(RunError, match="may not create schemas") as raised:
            registry.begin(make_conninfo(live, options=f"-c role={role}"), planned("a"), replace=False)
        assert raised.value.remedy.startswith("GRANT CREATE ON DATABASE")
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))
