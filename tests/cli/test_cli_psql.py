"""Ways into the database for other clients, tried with the client itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from mdp.local import LocalStack, client_program, placement
from tests.cli.cli_result import Config, Mdp, Start

PASSWORD = "p@/w% #'\"é"
WHO = "SELECT current_user, current_database()"


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """The URL of a user with a password that a URL cannot hold as it is."""
    name, place = f"r{uuid.uuid4().hex}", conninfo_to_dict(database)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(PASSWORD)))
        yield f"postgresql://{name}:{quote(PASSWORD, safe='')}@{place['host']}:{place['port']}/{place['dbname']}"
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def asked(start: Start, path: Path) -> tuple[int, str]:
    process = start("psql", "--config", path, "--", "-XAtc", WHO)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def test_psql_is_led_to_the_database_of_the_config(start: Start, config: Config, database: str) -> None:
    there = conninfo_to_dict(database)
    assert asked(start, config(url=database)) == (0, f"{there['user']}|{there['dbname']}\n")


def test_a_password_reaches_psql_whatever_is_in_it(start: Start, config: Config, role: str) -> None:
    there = conninfo_to_dict(role)
    assert asked(start, config(url=role)) == (0, f"{there['user']}|{there['dbname']}\n")


def test_what_psql_ends_with_is_the_exit_code(start: Start, config: Config, database: str) -> None:
    process = start("psql", "--config", config(url=database), "--", "-XAtc", "SELECT nonsense")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "nonsense" in err


def test_without_psql_its_variables_are_said_and_lead_to_the_database(
    mdp: Mdp, config: Config, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        without.setattr(placement, "WHEEL", "no_such_package")
        result = mdp("psql", "--config", config(url=role))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.endswith("and the password in PGPASSWORD\n")
    assert not re.search(r"PGPASSWORD=|%40", result.err)
    said = dict(word.split("=", 1) for word in shlex.split(result.err) if word.startswith("PG") and "=" in word)
    with monkeypatch.context() as elsewhere:
        for name, value in (said | {"PGPASSWORD": PASSWORD}).items():
            elsewhere.setenv(name, value)
        with psycopg.connect("") as connection:
            assert connection.info.user == conninfo_to_dict(role)["user"]


@pytest.mark.parametrize("command", ["status", "up"])
def test_the_local_stack_says_a_command_that_opens_its_database(
    mdp: Mdp, stack: LocalStack, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MDP_HOME", str(stack.root))
    said = re.search(r"`mdp psql`, or (.*)", mdp(command).out)
    assert said is not None
    program = client_program("psql")
    assert program is not None
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    line = f"{said[1]} -XAtc 'SELECT current_database()'"
    found = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert (found.returncode, found.stdout) == (0, "mdp\n")
