"""A Bytewax cluster of worker processes on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from flows import stop
from mdp.local import ports

_PORTS: Final = range(15_000, 20_000)
_STOP_SECONDS: Final = 4.8
_LOOK_SECONDS: Final = 0.1


def run(flow: str, workers: int) -> int:
    """Runs `flow` on so many processes until all have ended; the first exit code that is not 0.

    The processes learn the config from the environment. When one ends early, so do the others: Bytewax's clusters work
    as a whole or not at all.
    """
    addresses = ";".join(f"{ports.HOST}:{port}" for port in ports.choose(_PORTS, workers))
    command = [sys.executable, "-m", "mdp.worker", flow]
    processes = [_start([*command, str(number), addresses]) for number in range(workers)]
    stop.on_signals()
    try:
        return _wait(processes)
    finally:
        _stop(processes)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that a signal from the terminal comes once, and through here."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    while not stop.STOP.is_set():
        codes = [process.poll() for process in processes]
        failed = [code for code in codes if code]
        if failed:
            return failed[0]
        if None not in codes:
            return 0
        time.sleep(_LOOK_SECONDS)
    _stop(processes)
    unstarted = -signal.SIGTERM  # had not come so far as to heed the signal: there was nothing to save
    return next((code for process in processes if (code := process.returncode) not in (0, unstarted)), 0)


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
