"""The pipeline under test: its servers, its topics, and `mdp stream run` as a real process with real workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from chaos.clock import SteppedClock
from chaos.market import LOAD, RULES, SECTIONS, SYMBOLS
from contracts.errors import MdpError
from mdp.local import LocalStack

PROJECT: Final = Path(__file__).resolve().parent.parent
EVENTS: Final = "mdp.events"
SIGNALS: Final = "mdp.signals"
_GIVEN_UP: Final = 2
_STOP_SECONDS: Final = 5.0


class PipelineFailed(MdpError):  # noqa: N818 - says what happened
    """The pipeline violated a requirement; one line says which."""


@dataclass
class Pipeline:
    """The pipeline with all its files in `folder`: servers' data, saved state, config and logs.

    Attributes:
        workers: intended number of worker processes.
        restarts: how often the runner had to restart `mdp stream run`, as an orchestrator would.
        late_stops: stops that were not graceful, or took too long.
    """

    folder: Path
    workers: int
    stack: LocalStack = field(init=False)
    clock: SteppedClock = field(init=False)
    restarts: int = field(default=0, init=False)
    late_stops: int = field(default=0, init=False)
    _run: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _load: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.stack = LocalStack(self.folder / "home")

    @property
    def conninfo(self) -> str:
        return self.stack.postgres.conninfo()

    @property
    def kafka(self) -> str:
        return self.stack.kafka.bootstrap

    @property
    def said(self) -> Path:
        """The log of `mdp stream run`."""
        return self.folder / "run.log"

    def set_up(self) -> None:
        """Starts the servers, creates topics and tables."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack.up()
        rules = self.folder / "rules.yaml"
        rules.write_text(yaml.safe_dump(RULES))
        adapters = {"adapters": {"rules": {"file": str(rules)}}}
        self._config.write_text(yaml.safe_dump({**SECTIONS, "inference": adapters}))
        self.clock = SteppedClock(self.folder)
        self.apply_topics()
        self._set_up("store", "migrate")

    def apply_topics(self) -> None:
        """Creates missing topics."""
        self._set_up("topics", "apply", "--file", str(PROJECT / "configs" / "topics.yaml"))

    def _set_up(self, *arguments: str) -> None:
        if self._spawn(_mdp(*arguments), self.folder / "set_up.log").wait():
            raise PipelineFailed(f"the pipeline cannot be set up: see {self.folder / 'set_up.log'}")

    def tear_down(self) -> None:
        """Ends all processes; the folder stays."""
        for pid in self.worker_pids():  # a suspended one would not notice its parent's end
            os.kill(pid, signal.SIGKILL)
        for process in (self._load, self._run):
            if process is not None:
                process.kill()
                process.wait()
        self.stack.remove()

    def start_load(self, rate: float, seconds: float, seed: int) -> None:
        given = ("--rate", str(rate), "--seconds", str(seconds), "--seed", str(seed), "--symbols", str(SYMBOLS))
        produce = _mdp("stream", "produce", "--provider", "synthetic", *given, *LOAD)
        self._load = self._spawn(produce, self.folder / "load.log")

    @property
    def load_has_ended(self) -> bool:
        """Whether the load has ended; raises PipelineFailed if it has failed."""
        code = None if self._load is None else self._load.poll()
        if code:
            raise PipelineFailed(f"the load has ended with exit code {code}: see {self.folder / 'load.log'}")
        return code is not None

    def start(self) -> None:
        self._run = self._spawn(
            _mdp("stream", "run", "--workers", str(self.workers)), self.said, **self.clock.environment
        )

    def keep_going(self) -> None:
        """Restarts `mdp stream run` if it has ended, as it does when its only worker is killed.

        Raises:
            PipelineFailed: it has ended permanently.
        """
        code = None if self._run is None else self._run.poll()
        if code is None:
            return
        if code in (0, _GIVEN_UP):
            raise PipelineFailed(f"mdp stream run has ended with exit code {code}: see {self.said}")
        self.restarts += 1
        self.start()

    def stop(self) -> None:
        """Requests a graceful stop; kills and counts processes that do not stop in time."""
        if self._run is None:
            return
        self._run.terminate()
        began = time.monotonic()
        try:
            code = self._run.wait(3 * _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._run.kill()
            code = self._run.wait()
        if code != 0 or time.monotonic() - began > _STOP_SECONDS:
            self.late_stops += 1
        self._run = None

    def rescale(self, workers: int) -> None:
        self.stop()
        self.workers = workers
        self.start()

    def worker_pids(self) -> list[int]:
        """The worker processes; none while they are being started."""
        if self._run is None or self._run.poll() is not None:
            return []
        if self.workers == 1:
            return [self._run.pid]
        return workers_of(self._run.pid)

    @property
    def _config(self) -> Path:
        return self.folder / "streaming.yaml"

    def _spawn(self, command: Sequence[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
        """Starts a process in its own session, so that Ctrl-C is for the runner alone."""
        environment = {**os.environ, "MDP_HOME": str(self.stack.root), "MDP_CONFIG": str(self._config), **more}
        with log.open("ab") as said:
            return subprocess.Popen(  # noqa: S603
                command, cwd=PROJECT, env=environment, stdout=said, stderr=said, start_new_session=True
            )


def workers_of(run: int) -> list[int]:
    """The processes of a cluster: the children of the fork server of `mdp stream run` with process id `run`."""
    return [worker for fork_server in _children(run) for worker in _children(fork_server)]


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False)  # noqa: S603,S607
    return [int(child) for child in listed.stdout.split()]


def _mdp(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from mdp.cli import main; main()", *arguments]
