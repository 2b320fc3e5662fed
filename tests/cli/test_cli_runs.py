"""`mdp runs` and `--run`, on runs that are there already."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from sinks.runs import registry
from sinks.runs.span import Span
from tests.cli.cli_result import Config, Mdp
from tests.sinks.database_rows import bar, batch, signal
from tests.sinks.run_tables import made, window, write

NAMES = ("ret_4s",)


@pytest.fixture
def filled(mdp: Mdp, config: Config, database: str) -> Path:
    """The config of a database with live tables and two runs, of windows 0 to 9 and 3 to 12."""
    path = config(url=database)
    assert mdp("store", "migrate", "--config", path).code == 0
    live = batch(bars=[bar("A", k) for k in range(20)], signals=[signal("A", k, name="up") for k in (5, 15)])
    write(database, live, names=NAMES)
    calmer = batch(bars=[bar("A", k) for k in range(9)], signals=[signal("A", k, name="up") for k in (1, 5, 6)])
    wilder = batch(bars=[bar("A", k, close=9.5) for k in range(3, 12)], signals=[signal("A", 5, name="down")])
    made(database, "calmer", calmer, names=NAMES, span=Span(window(0), window(9)))
    made(database, "wilder", wilder, names=NAMES, span=Span(window(3), window(12)))
    return path


def test_runs_are_listed_and_shown(mdp: Mdp, filled: Path) -> None:
    listed = mdp("runs", "--config", filled)
    assert listed.code == 0
    assert [line.split()[1] for line in listed.out.splitlines() if "finished" in line] == ["calmer", "wilder"]
    calmer, _ = json.loads(mdp("runs", "--json", "--config", filled).out)
    assert (calmer["from"], calmer["to"]) == ("2023-11-14T22:13:20+00:00", "2023-11-14T22:13:38+00:00")
    assert json.loads(mdp("runs", "show", "calmer", "--json", "--config", filled).out) == calmer
    assert "window_ms: 2000" in mdp("runs", "show", "calmer", "--config", filled).out


def test_without_runs_the_list_says_how_to_make_one(mdp: Mdp, config: Config, database: str) -> None:
    path = config(url=database)
    assert "mdp store migrate" in mdp("runs", "--config", path).err
    mdp("store", "migrate", "--config", path)
    result = mdp("runs", "--config", path)
    assert (result.code, "no runs" in result.err) == (0, True)


def test_two_runs_are_compared_where_both_lie(mdp: Mdp, filled: Path) -> None:
    result = mdp("runs", "diff", "calmer", "wilder", "--json", "--config", filled)
    assert result.code == 1
    shown = [
        [one[key] for key in ("table", "name", "only_a", "only_b", "changed", "same")] for one in json.loads(result.out)
    ]
    assert shown == [
        ["bars", None, 0, 0, 6, 0],
        ["features", None, 0, 0, 0, 0],
        ["signals", "down", 0, 1, 0, 0],
        ["signals", "up", 2, 0, 0, 0],
    ]
    table = mdp("runs", "diff", "calmer", "wilder", "--config", filled)
    assert "2023-11-14T22:13:26Z to 2023-11-14T22:13:38Z" in table.out
    assert "signals down" in table.out


def test_a_run_is_compared_with_the_live_tables_in_its_range(mdp: Mdp, filled: Path) -> None:
    result = mdp("runs", "diff", "live", "calmer", "--rows", "signals", "--format", "csv", "--config", filled)
    assert result.code == 1
    rows = [(row["run"], row["name"], row["ts"][:19]) for row in csv.DictReader(io.StringIO(result.out))]
    assert rows == [("calmer", "up", "2023-11-14T22:13:22"), ("calmer", "up", "2023-11-14T22:13:32")]
    assert mdp("runs", "diff", "live", "calmer", "--rows", "bars", "--config", filled).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "calmr"), "there is no run calmr; did you mean calmer?"),
        (("diff", "calmer", "calmer"), "name two"),
        (("diff", "live", "live"), "name two"),
        (("diff", "calmer", "none"), "there is no run none"),
        (("drop", "gone", "--yes"), "there is no run gone"),
        (("drop", "live", "--yes"), "the tables of the live flow"),
    ],
)
def test_what_there_is_not_is_said_in_one_line(mdp: Mdp, filled: Path, arguments: tuple[str, ...], words: str) -> None:
    result = mdp("runs", *arguments, "--config", filled)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert words in result.err


def test_runs_without_a_time_in_common_are_not_compared(mdp: Mdp, filled: Path, database: str) -> None:
    made(database, "later", span=Span(window(50), window(60)), names=NAMES)
    result = mdp("runs", "diff", "calmer", "later", "--config", filled)
    assert (result.code, "no time in common" in result.err) == (2, True)


def test_a_run_is_dropped_when_that_is_meant(mdp: Mdp, filled: Path, database: str) -> None:
    with registry.reserved(database, "calmer"):
        assert "run calmer is in progress" in mdp("runs", "drop", "calmer", "--yes", "--config", filled).err
    assert mdp("runs", "drop", "calmer", "wilder", "--yes", "--config", filled).code == 0
    assert registry.runs(database) == []
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname LIKE 'run%'").fetchall() == []


def drop_calmer(config: Path) -> list[str]:
    """The command as a process of its own, which has a terminal or none."""
    return [sys.executable, "-c", "from mdp.cli import main; main()", "runs", "drop", "calmer", "--config", str(config)]


@pytest.mark.parametrize(("answer", "left"), [("y", 1), ("n", 2)])
def test_it_asks_who_sits_before_it(filled: Path, database: str, answer: str, left: int) -> None:
    terminal, end = pty.openpty()
    with subprocess.Popen(drop_calmer(filled), stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.write(terminal, f"{answer}\n".encode())
        assert process.wait(60) == 0
    os.close(terminal)
    os.close(end)
    assert len(registry.runs(database)) == left


def test_nobody_there_to_be_asked_drops_nothing(filled: Path, database: str) -> None:
    command = drop_calmer(filled)
    process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (process.returncode, "--yes" in process.stderr) == (2, True)
    assert len(registry.runs(database)) == 2


def test_what_a_run_has_written_is_read_like_the_live_tables(mdp: Mdp, filled: Path) -> None:
    signals = mdp("store", "signals", "--run", "wilder", "--format", "csv", "--config", filled)
    assert [row["name"] for row in csv.DictReader(io.StringIO(signals.out))] == ["down"]
    bars = mdp("store", "bars", "--run", "calmer", "--format", "csv", "--config", filled)
    assert len(bars.out.splitlines()) == 10
    mistaken = mdp("store", "bars", "--run", "calm", "--config", filled)
    assert (mistaken.code, "did you mean calmer?" in mistaken.err) == (2, True)
