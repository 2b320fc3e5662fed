"""The demo as a user runs it: in a process of its own, on a terminal or not, ended by itself or by Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdp.local import LocalStack, ports

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 120.0  # for whatever has to happen some time
ACCOUNTED = re.compile(r"([1-9]\d*) of \1 events accounted for")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from mdp.cli import main; main()", "demo", "--rate", "600", *arguments]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "MDP_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}


def processes_of(home: Path) -> list[Path]:
    """Processes that were started with this home, directly or by one that was."""
    mark, found = f"MDP_HOME={home}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process)
    return found


def workers(home: Path) -> list[int]:
    return [int(process.name) for process in processes_of(home) if b"mdp.demo.worker" in _arguments(process)]


def _arguments(process: Path) -> list[bytes]:
    return (process / "cmdline").read_bytes().split(b"\0")


class Terminal:
    """A demo on a terminal; what it writes is read as it comes."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.written = ""
        ours, theirs = os.openpty()
        self.process = subprocess.Popen(
            command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, cwd=PROJECT, env=environment(home),
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(ours,))
        self._reader.start()

    def await_text(self, text: str) -> None:
        """Wait until it has written this; fails if it ends before."""
        ports.wait_until(lambda: text in self.written or self.process.poll() is not None, SECONDS)
        assert text in self.written, self.written[-2_000:]

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if any, to all in the foreground, as a terminal does; the exit code."""
        if number is not None:
            os.killpg(self.process.pid, number)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def lines(self) -> list[str]:
        """What stands on the terminal after the live view has gone."""
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.written.rpartition("\x1b[?1049l")[2]).splitlines()

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # how Linux says that the other side has been closed
            while text := os.read(descriptor, 65_536):
                self.written += text.decode(errors="replace")
        os.close(descriptor)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Demos that a failing test leaves behind are killed; their workers end by themselves."""
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.process.kill()
        terminal.process.wait()


def test_a_demo_starts_the_stack_accounts_for_every_event_and_leaves_nothing_running(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("demo") / "home"
    picture = home.parent / "terminal.svg"
    arguments = ("--seconds", "5", "--symbols", "5", "--save-svg", str(picture))
    try:
        result = subprocess.run(
            command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            cwd=PROJECT,
            env=environment(home),
            timeout=SECONDS,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert ACCOUNTED.fullmatch(result.stdout.splitlines()[-1])
        assert "✗" not in result.stdout
        assert re.search(r"live  0:0\d of 0:05: [\d,]+ events/s", result.stdout)  # lines, as this is no terminal
        assert "\x1b" not in result.stdout
        assert "SPY" in picture.read_text(encoding="utf-8")
        assert processes_of(home) == []
        assert [service.pid for service in LocalStack(home).status()] == [None, None]
        assert not (home / "recovery" / "demo").exists()
    finally:
        LocalStack(home).remove()


def test_ctrl_c_ends_it_with_an_account_and_leaves_a_stack_that_was_there(
    stack: LocalStack, terminals: list[Terminal]
) -> None:
    terminal = Terminal(stack.root, "--symbols", "3")
    terminals.append(terminal)
    terminal.await_text("AAPL")
    page = re.search(r"Page: (http://127\.0\.0\.1:\d+)", terminal.written)
    assert page is not None
    with urllib.request.urlopen(page[1], timeout=10) as answer:
        assert b"<title>mdp" in answer.read()
    assert terminal.end(signal.SIGINT) == 0, terminal.written[-2_000:]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(page[1], timeout=10)
    assert ACCOUNTED.fullmatch(terminal.lines()[-1])
    assert terminal.written.count("\x1b[?1049h") == 1  # the view had a screen of its own
    assert processes_of(stack.root) == []
    assert all(service.answers for service in stack.status())


def test_a_worker_that_dies_ends_the_demo_with_one_line(stack: LocalStack, terminals: list[Terminal]) -> None:
    terminal = Terminal(stack.root, "--symbols", "3")
    terminals.append(terminal)
    terminal.await_text("AAPL")
    (worker,) = workers(stack.root)
    os.kill(worker, signal.SIGKILL)
    assert terminal.end() == 2
    assert terminal.lines()[-1].startswith("error: the worker has ended with exit code -9")
    assert processes_of(stack.root) == []


def test_a_demo_that_is_killed_takes_its_worker_with_it(stack: LocalStack, terminals: list[Terminal]) -> None:
    terminal = Terminal(stack.root, "--symbols", "3")
    terminals.append(terminal)
    terminal.await_text("AAPL")
    assert workers(stack.root)
    assert terminal.end(signal.SIGKILL) == -signal.SIGKILL
    assert ports.wait_until(lambda: not processes_of(stack.root), SECONDS)
