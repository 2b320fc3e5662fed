"""A page server as people start it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.harness import SECONDS, Deployment


@contextmanager
def serving(deployment: Deployment, *arguments: str) -> Iterator[str]:
    """`mdp serve` on a free port; its address. It has to end well when it is asked to."""
    with server_process(deployment.environment, *arguments) as (address, _):
        yield address


@contextmanager
def server_process(environment: Mapping[str, str], *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The same, and its process."""
    command = [sys.executable, "-c", "from mdp.cli import main; main()", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.match(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0], process
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0
