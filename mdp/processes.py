"""The processes of a Bytewax cluster on this machine: started, watched and stopped as a whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Final

from flows import stop
from mdp.local import ports

_PORTS: Final = range(15_000, 20_000)
_STOP_SECONDS: Final = 3.6  # a process gives up after 3.5 s by itself
_END_SECONDS: Final = 1.0  # for what a process that ends too has to say
LOOK_SECONDS: Final = 0.05


class Processes:
    """Those of one start. Bytewax's clusters work as a whole or not at all: when one ends, so do the others.

    The processes learn the config from the environment, and find each other on ports chosen anew.
    """

    def __init__(self, flow: str, workers: int) -> None:
        addresses = ";".join(f"{ports.HOST}:{port}" for port in ports.choose(_PORTS, workers))
        command = [sys.executable, "-m", "mdp.member", flow]
        self._processes = [_start([*command, str(number), addresses]) for number in range(workers)]

    def wait(self) -> list[int]:
        """Waits until all have ended, or a stop was asked for; the exit codes of those that ended by themselves."""
        try:
            while not stop.STOP.is_set():
                codes = self._codes()
                if None not in codes:
                    break
                if any(codes):
                    return self._ended_together()
                time.sleep(LOOK_SECONDS)
            else:
                self._stop()
        finally:
            self._kill()
        return [process.returncode for process in self._processes]

    def _codes(self) -> list[int | None]:
        return [process.poll() for process in self._processes]

    def _ended_together(self) -> list[int]:
        """A process whose neighbour has ended notices at once, and one that was the cause may be a little later."""
        ports.wait_until(lambda: None not in self._codes(), _END_SECONDS)
        return [code for code in self._codes() if code is not None]

    def _stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        ports.wait_until(lambda: None not in self._codes(), _STOP_SECONDS)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that a signal from the terminal comes once, and through here.

    It inherits the lock on the saved state, which so is free only when nobody can write there any more.
    """
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, close_fds=False)  # noqa: S603
