"""A server process that outlives the command that started it, and is found by its pid file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdp.local.errors import LocalStackError
from mdp.local.ports import wait_until
from mdp.local.records import read_record, write_record

PROC = Path("/proc/self/stat")
KILL_SECONDS = 10.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Children of this process, which must be reaped here, whichever object stops them.
_children: dict[int, subprocess.Popen[bytes]] = {}


def started(pid: int) -> str | None:
    """Return the start time of process `pid`, unique among processes with that pid; None if it has ended."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
    return _started_by_proc(pid) if PROC.exists() else _started_by_ps(pid)


def _started_by_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks_since_boot = fields[0], fields[19]
    # The main thread becomes a zombie when it ends; while other threads are ending, the ports are still in use.
    return None if state in "ZX" and threads <= 1 else f"{BOOT_ID.read_text().strip()} {ticks_since_boot}"


def _started_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})  # noqa: S603
    state, _, start = answer.stdout.strip().partition(" ")
    return None if not start or state.startswith("Z") else start.strip()


def _identity(user: int | None) -> dict[str, Any]:
    # A numeric id and only the group of the same number: the server gets no rights beyond that user's.
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def command_of(pid: int) -> str | None:
    """Return the command line of process `pid`, None if it has ended."""
    if started(pid) is None:
        return None
    if PROC.exists():
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    command = ["ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def run_as(
    user: int | None, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], complaint: str
) -> None:
    """Run `command` to its end as `user` (a numeric id, None for our own).

    Raises LocalStackError if it failed, with `complaint` and the command's last line.
    """
    result = subprocess.run(  # noqa: S603
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False, **_identity(user)
    )
    if result.returncode != 0:
        lines = (result.stdout + result.stderr).strip().splitlines() or ["no reason given"]
        raise LocalStackError(f"{complaint}: {lines[-1].strip()}")


class ServerProcess:
    """One server of a stack.

    The pid file holds the pid and the process's start time, so that a stale file of a dead process is recognized, even
    if another process has the pid by now.
    """

    def __init__(self, name: str, pid_file: Path, log_file: Path) -> None:
        self.name = name
        self.pid_file = pid_file
        self.log_file = log_file
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The pid of the running server, None if it does not run."""
        record = read_record(self.pid_file) or {"pid": 0, "started": None}
        start = started(record["pid"])
        return None if start is None or start != record["started"] else int(record["pid"])

    def spawn(
        self, command: Sequence[str | Path], folder: Path, user: int | None, environment: Mapping[str, str]
    ) -> None:
        """Start the server in a session of its own, so that it neither gets the terminal's signals nor ends with it."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            child = subprocess.Popen(  # noqa: S603
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_identity(user),
            )
        _children[child.pid] = child
        write_record(self.pid_file, {"pid": child.pid, "started": started(child.pid)})

    def stop(self, polite: signal.Signals, patience: float) -> bool:
        """Send `polite`, wait up to `patience` seconds, then send SIGKILL; return whether SIGKILL was not needed.

        Does nothing if the server does not run.
        """
        obeyed = self._signalled(polite, patience)
        if not obeyed and not self._signalled(signal.SIGKILL, KILL_SECONDS):
            raise LocalStackError(f"{self.name} (process {self.pid}) does not end after SIGKILL: see {self.log_file}")
        self.pid_file.unlink(missing_ok=True)
        return obeyed

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash does."""
        self.stop(signal.SIGKILL, KILL_SECONDS)

    def failure(self) -> LocalStackError:
        """Return the error with the server's own reason why it ended or does not answer."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if any(mark in line for mark in ("FATAL", "ERROR", "Exception", "Error:"))]
        reason = (telling or lines or ["it wrote nothing"])[-1].strip()
        return LocalStackError(f"{self.name} did not start: {reason} (log: {self.log_file})")

    def _signalled(self, number: signal.Signals, patience: float) -> bool:
        pid = self.pid
        if pid is None:
            return True
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            raise LocalStackError(
                f"{self.name} (process {pid}) belongs to another user: stop it as that user"
            ) from None
        return wait_until(lambda: self.pid is None, patience)
