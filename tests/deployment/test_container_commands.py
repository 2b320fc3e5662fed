import pytest
from typer.testing import CliRunner

from mdp.cli import app
from tests.deployment.compose_file import ours

COMMANDS = {name: service["command"] for name, service in ours().items()}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_service_runs_a_command_that_there_is(name: str) -> None:
    # Options are parsed before --help answers, so that one that is unknown or malformed is refused.
    answer = CliRunner().invoke(app, [*COMMANDS[name], "--help"])
    assert answer.exit_code == 0, answer.output


def test_a_command_that_there_is_not_is_refused() -> None:
    assert CliRunner().invoke(app, ["stream", "run", "--no-such-option", "--help"]).exit_code == 2
