"""Whoever sends half a request, many at a time or byte after byte, keeps nobody else from the page or its /health."""

from __future__ import annotations

import http.client
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mdp.local import ports
from tests.harness import PROJECT, SECONDS, until

PROGRAM = """
import logging, resource, sys
from flows.settings import Settings
from mdp.serve.server import PageServer
logging.basicConfig()
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
away = {"store": {"url": "postgresql://127.0.0.1:1/none"}, "telemetry": {"metrics_port": 0}}
page = PageServer(Settings.model_validate(away), "0.0.0.0", 0, "correct horse battery staple")
print(page.port, flush=True)
page.serve_until_signal()
"""


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> Iterator[None]:
    """For the clients."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of one in a process that may have so many files open, and what it says."""
    said = tmp_path / "said"
    command = [sys.executable, "-c", PROGRAM, str(request.param)]
    with said.open("wb") as errors:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline()), said
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    process.stdout.close()


def half_sent(port: int, count: int, stack: ExitStack, what: bytes = b"GET / HTTP/1.1\r\nHost: x") -> None:
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection((ports.HOST, port), timeout=SECONDS))
        connection.sendall(what)


def is_healthy(port: int) -> bool:
    with closing(http.client.HTTPConnection(ports.HOST, port, timeout=1)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False


@pytest.mark.parametrize("page", [1_024, pytest.param(200, marks=pytest.mark.slow)], indirect=True)
def test_half_sent_requests_keep_nobody_out(page: tuple[int, Path]) -> None:
    port, said = page
    with ExitStack() as stack:
        half_sent(port, 1_100, stack)
        until(lambda: is_healthy(port), "/health")
    assert "Traceback" not in said.read_text()
    assert len(said.read_text().splitlines()) <= 1


@pytest.mark.parametrize("page", [1_024], indirect=True)
def test_a_request_that_is_not_whole_in_time_is_cut_off(page: tuple[int, Path]) -> None:
    port, _ = page
    login = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\ntok"
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection((ports.HOST, port), timeout=0.1)) for _ in range(3)]
        for line, what in zip(lines, (b"", b"GET", login), strict=True):
            line.sendall(what)
        until(lambda: [is_cut_off(line) for line in lines] == [True] * 3, "the end of all")


def is_cut_off(connection: socket.socket) -> bool:
    """Sends one more byte."""
    try:
        connection.sendall(b"x")
        return connection.recv(1_000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
