"""A page server as people start it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryFile

from tests.forked import Process, fork
from tests.harness import SECONDS, Deployment, until

_ADDRESS = re.compile(rb"^http://\S+", re.MULTILINE)
_MOST = 1 << 20


@contextmanager
def serving(deployment: Deployment, *arguments: str) -> Iterator[str]:
    """`mdp serve` on a free port; its address. It has to end well when it is asked to."""
    with server_process(deployment.environment, *arguments) as (address, _):
        yield address


@contextmanager
def server_process(environment: Mapping[str, str], *arguments: str) -> Iterator[tuple[str, Process]]:
    """The same, and its process."""
    with TemporaryFile() as said:
        process = fork("mdp.cli:main", ["serve", "--port", "0", *arguments], environment, said.fileno())

        def address() -> re.Match[bytes] | None:
            return _ADDRESS.search(os.pread(said.fileno(), _MOST, 0))

        try:
            until(lambda: address() or process.poll() is not None, "the address of the server")
            found = address()
            assert found is not None, os.pread(said.fileno(), _MOST, 0).decode()
            yield found[0].decode(), process
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0
