"""The pipeline under test: its servers, its topics, and its dataflows as real processes with real workers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from chaos.case import Case, mdp
from chaos.clock import SteppedClock
from contracts.errors import MdpError
from mdp.local import LocalStack

PROJECT: Final = Path(__file__).resolve().parent.parent
_GIVEN_UP: Final = 2
_STOP_SECONDS: Final = 5.0


class PipelineFailed(MdpError):  # noqa: N818 - says what happened
    """The pipeline violated a requirement; one line says which."""


@dataclass
class Pipeline:
    """The pipeline with all its files in `folder`: servers' data, saved state, config and logs.

    Attributes:
        case: its dataflows, config and load.
        workers: intended number of worker processes of each dataflow.
        restarts: how often the runner had to restart `mdp stream …`, as an orchestrator would.
        late_stops: stops that were not graceful, or took too long.
    """

    folder: Path
    workers: int
    case: Case
    stack: LocalStack = field(init=False)
    clock: SteppedClock = field(init=False)
    restarts: int = field(default=0, init=False)
    late_stops: int = field(default=0, init=False)
    _runs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
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
        """The log of the dataflows."""
        return self.folder / "run.log"

    def set_up(self) -> None:
        """Starts the servers, creates topics and tables."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack.up()
        self._config.write_text(yaml.safe_dump(self.case.configure(self.folder)))
        self.clock = SteppedClock(self.folder)
        self.apply_topics()
        self._set_up("store", "migrate")

    def apply_topics(self) -> None:
        """Creates missing topics."""
        self._set_up("topics", "apply", "--file", str(PROJECT / "configs" / "topics.yaml"))

    def _set_up(self, *arguments: str) -> None:
        if self._spawn(mdp(*arguments), self.folder / "set_up.log").wait():
            raise PipelineFailed(f"the pipeline cannot be set up: see {self.folder / 'set_up.log'}")

    def tear_down(self) -> None:
        """Ends all processes; the folder stays."""
        for pid in self.worker_pids():  # a suspended one would not notice its parent's end
            os.kill(pid, signal.SIGKILL)
        for process in (self._load, *self._runs.values()):
            if process is not None:
                process.kill()
                process.wait()
        self.stack.remove()

    def start_load(self, rate: float, seconds: float, seed: int) -> None:
        self._load = self._spawn(self.case.load(self.kafka, rate, seconds, seed), self.folder / "load.log")

    @property
    def load_has_ended(self) -> bool:
        """Whether the load has ended; raises PipelineFailed if it has failed."""
        code = None if self._load is None else self._load.poll()
        if code:
            raise PipelineFailed(f"the load has ended with exit code {code}: see {self.folder / 'load.log'}")
        return code is not None

    def start(self) -> None:
        for flow in self.case.flows:
            self._start(flow)

    def _start(self, flow: str) -> None:
        command = mdp("stream", flow, "--workers", str(self.workers))
        self._runs[flow] = self._spawn(command, self.said, **self.clock.environment)

    def keep_going(self) -> None:
        """Restarts each `mdp stream …` that has ended, as it does when its only worker is killed.

        Raises:
            PipelineFailed: it has ended permanently.
        """
        for flow, run in self._runs.items():
            code = run.poll()
            if code in (0, _GIVEN_UP):
                raise PipelineFailed(f"mdp stream {flow} has ended with exit code {code}: see {self.said}")
            if code is not None:
                self.restarts += 1
                self._start(flow)

    def stop(self) -> None:
        """Requests a graceful stop; kills and counts processes that do not stop in time."""
        for run in self._runs.values():
            run.terminate()
        began = time.monotonic()
        for run in self._runs.values():
            try:
                code = run.wait(3 * _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                run.kill()
                code = run.wait()
            if code != 0 or time.monotonic() - began > _STOP_SECONDS:
                self.late_stops += 1
        self._runs.clear()

    def rescale(self, workers: int) -> None:
        self.stop()
        self.workers = workers
        self.start()

    def worker_pids(self) -> list[int]:
        """The worker processes, without those that are being started."""
        running = [run.pid for run in self._runs.values() if run.poll() is None]
        return running if self.workers == 1 else [worker for run in running for worker in workers_of(run)]

    @property
    def worker_count(self) -> int:
        """How many there are when all of them run."""
        return self.workers * len(self.case.flows)

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
