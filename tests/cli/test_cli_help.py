import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.cli.cli_result import Mdp

COMMANDS = [
    "up",
    "down",
    "status",
    "psql",
    "topics apply",
    "store migrate",
    "store symbols",
    "store bars",
    "store features",
    "store signals",
    "store trades",
    "store gex",
    "stream produce",
    "stream run",
    "stream micro-batch",
    "stream infer",
    "stream persist",
    "stream tail",
    "stream lateness",
    "stream replay",
    "stream replay-service",
    "runs",
    "runs show",
    "runs diff",
    "runs drop",
    "dlq inspect",
    "dlq stats",
    "dlq redrive",
    "dlq auto",
    "late repair",
    "validate",
    "serve",
    "bench",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(mdp: Mdp, command: str) -> None:
    result = mdp(*command.split(), "--help")
    assert result.code == 0
    assert f"Usage: mdp {command}" in result.out


@pytest.mark.parametrize("command", ["", *(c for c in COMMANDS if c != "down")])
def test_help_ends_with_examples(mdp: Mdp, command: str) -> None:
    assert f"$ mdp {command}".strip() in mdp(*command.split(), "--help").out.partition("Examples")[2]


@pytest.mark.parametrize("group", ["", "topics", "store", "stream", "dlq", "late"])
def test_a_group_alone_shows_its_help(mdp: Mdp, group: str) -> None:
    result = mdp(*group.split())
    assert f"Usage: mdp {group}".strip() in result.out
    assert (result.code, result.err) == (2, "")


def test_the_version_is_that_of_the_installed_package(mdp: Mdp) -> None:
    result = mdp("--version")
    assert (result.code, result.out) == (0, f"mdp {version('mdp')}\n")


def test_help_and_completion_wait_for_no_heavy_import() -> None:
    heavy = "{'polars', 'pyarrow', 'numpy', 'confluent_kafka', 'bytewax', 'psycopg', 'pydantic', 'sklearn'}"
    code = f"import sys, mdp.cli; sys.exit(', '.join({heavy} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert loaded.stderr.strip() == ""


def test_the_shell_completes_commands(mdp: Mdp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MDP_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "mdp stream re")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert mdp().out.split() == ["replay", "replay-service"]
