from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdp.local import process
from mdp.local.process import ServerProcess, command_of, started
from mdp.local.records import write_record
from tests.harness import until

STUBBORN = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess("Sleeper", tmp_path / "sleeper.pid", tmp_path / "logs" / "sleeper.log")
    yield server
    server.kill()


def spawn(server: ServerProcess, command: list[str]) -> int:
    server.spawn(command, server.pid_file.parent, None, os.environ)
    assert server.pid is not None
    return server.pid


def test_a_server_is_found_by_its_pid_file(server: ServerProcess) -> None:
    pid = spawn(server, ["sleep", "60"])
    assert ServerProcess("Sleeper", server.pid_file, server.log_file).pid == pid
    assert os.getsid(pid) == pid


def test_a_polite_stop(server: ServerProcess) -> None:
    pid = spawn(server, ["sleep", "60"])
    assert server.stop(signal.SIGTERM, 10)
    assert started(pid) is None
    assert not server.pid_file.exists()


def test_a_server_that_does_not_listen_is_killed(server: ServerProcess) -> None:
    pid = spawn(server, STUBBORN)
    while "deaf" not in server.log_file.read_text():
        pass
    assert not server.stop(signal.SIGTERM, 0.1)
    assert started(pid) is None


def test_a_pid_file_of_a_dead_process_is_survived(server: ServerProcess) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    write_record(server.pid_file, {"pid": dead.pid, "started": "once"})
    assert server.pid is None
    assert server.stop(signal.SIGTERM, 1)


def test_a_pid_file_that_names_a_stranger_does_not_harm_it(server: ServerProcess) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        write_record(server.pid_file, {"pid": stranger.pid, "started": "before the stranger"})
        assert server.pid is None
        server.kill()
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_ends_at_once_is_not_running(server: ServerProcess) -> None:
    server.spawn(["sh", "-c", "echo 'FATAL: no; use more'; echo bye"], server.pid_file.parent, None, os.environ)
    while server.pid is not None:
        pass
    assert "Sleeper did not start: FATAL: no; use more (log: " in str(server.failure())


def test_a_process_that_ended_but_was_not_reaped_has_ended() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert started(child.pid) is None


@pytest.mark.skipif(not process.PROC.exists(), reason="only Linux shows a main thread that ended before the others")
def test_a_process_has_not_ended_before_its_last_thread() -> None:
    program = (
        "import ctypes, threading as t; t.Thread(target=t.Event().wait).start(); ctypes.PyDLL(None).pthread_exit(0)"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as child:
        while ") Z" not in Path(f"/proc/{child.pid}/stat").read_text():
            assert child.poll() is None
        assert started(child.pid) is not None
        child.kill()
        child.wait()
        assert started(child.pid) is None


@pytest.mark.parametrize("proc", [process.PROC, Path("/nonexistent")], ids=["proc", "ps"])
def test_identity_with_and_without_proc(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PROC", proc)
    with subprocess.Popen(["sleep", "60"]) as child:
        assert started(child.pid) == started(child.pid) is not None
        # The kernel lets a new program go before its command line can be read.
        until(lambda: (command_of(child.pid) or "").split() == ["sleep", "60"], "the command")
        child.kill()
    assert started(child.pid) is None
    assert command_of(child.pid) is None
