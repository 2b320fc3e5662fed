"""The worker of the demo: a separate process that never outlives the demo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from contracts.errors import MdpError

_STOP_SECONDS: Final = 15.0


class WorkerFailed(MdpError):  # noqa: N818 - says what happened
    """The worker has ended without a request."""


class Worker:
    """The market flow in a separate process.

    It has its own session, as the terminal's Ctrl-C is for the demo alone, and a pipe from the demo: when the pipe
    closes, even because the demo was killed, the worker ends.

    Attributes:
        log: the file of its log.
    """

    def __init__(self, config: Path, overrides: Sequence[str], log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", __name__, str(config), json.dumps(list(overrides))],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise WorkerFailed, with the worker's own reason, if it has ended."""
        code = self._process.poll()
        if code is not None:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
            reason = lines[-1].removeprefix("error: ") if lines else "it wrote nothing"
            raise WorkerFailed(f"the worker has ended with exit code {code}: {reason} (log: {self.log})")

    def stop(self) -> None:
        """End the worker, and wait until it has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the worker."""
        self._process.kill()
        self._process.wait()


def main() -> NoReturn:
    """`python -m mdp.demo.worker CONFIG OVERRIDES`, with a pipe as its standard input."""
    from flows import stop  # noqa: PLC0415 - the demo itself has no need of Bytewax
    from flows.spec import MARKET  # noqa: PLC0415
    from mdp.runtime.errors import one_line  # noqa: PLC0415
    from mdp.runtime.worker import run  # noqa: PLC0415

    config, overrides = sys.argv[1:]
    stop.with_parent()
    try:
        code = run(MARKET, Path(config), json.loads(overrides), workers=1)
    except MdpError as error:
        sys.stderr.write(f"error: {one_line(error)}\n")
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
