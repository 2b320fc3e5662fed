"""A worker process of the benchmark, and its accounts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contracts.errors import MdpError
from mdp.local import ports

_SECONDS: Final = 60.0  # to begin, or to answer


class BenchFailed(MdpError):  # noqa: N818 - says what happened
    """The worker of a benchmark has ended before its work was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The resources that a worker has used up to a moment.

    Attributes:
        at: seconds of a monotonic clock.
        cpu: CPU seconds of all its threads.
        events: events that have passed all steps since the start of the saved state.
        peak_mb: peak of resident memory.
        steps: CPU seconds by step.
        latency: by stage, cumulative counts of batches by upper bounds in seconds, ascending.
    """

    at: float
    cpu: float
    events: float
    peak_mb: float
    steps: dict[str, float] = field(default_factory=dict)
    latency: dict[str, dict[float, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, line: str) -> Account:
        fields = json.loads(line)
        latency: dict[str, dict[float, float]] = {}
        for stage, most, count in fields.pop("latency"):
            latency.setdefault(stage, {})[float(most)] = count
        return cls(**fields, latency=latency)

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events."""
        return self.cpu / self.events * 1e6 if self.events else 0.0

    def since(self, before: Account) -> Account:
        """The resources used between two moments; the peak is that of the whole time."""
        steps = Counter(self.steps)
        steps.subtract(before.steps)
        latency = {
            stage: {most: count - before.latency.get(stage, {}).get(most, 0) for most, count in buckets.items()}
            for stage, buckets in self.latency.items()
        }
        return Account(
            at=self.at - before.at,
            cpu=self.cpu - before.cpu,
            events=self.events - before.events,
            peak_mb=self.peak_mb,
            steps=dict(steps),
            latency=latency,
        )


class Process:
    """A worker process, started at construction. It ends when its pipe closes, so it does not outlive its parent.

    Attributes:
        started: time of the start, by the clock of its accounts.
    """

    def __init__(self, config: Path, overrides: Sequence[str], log: Path) -> None:
        self.started = time.monotonic()
        self._log = log
        self._accounts: list[Account] = []
        with log.open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "mdp.cost.worker", str(config), json.dumps(list(overrides))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begun(self) -> Account:
        """The account when it opened its first partition."""
        return self._account(1)

    def reached(self, events: int) -> Account:
        """The account once it has processed `events`, by its own count; or after a minute, if it has not."""
        ports.wait_until(lambda: self._asked().events >= events, _SECONDS)
        return self._accounts[-1]

    def ended(self) -> Account:
        """Waits for its end; returns its last account."""
        code = self._process.wait()
        self._reader.join()
        if code:
            raise self._failure()
        return self._accounts[-1]

    def kill(self) -> None:
        """Kills it, unless it has ended."""
        self._process.kill()
        self._reader.join()
        with suppress(BrokenPipeError):  # it did not read the last request
            self._process.__exit__(None, None, None)  # waits, and closes the pipes

    def _asked(self) -> Account:
        """The present account."""
        number = len(self._accounts) + 1
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended, which is reported later
                self._process.stdin.write("\n")
                self._process.stdin.flush()
        return self._account(number)

    def _account(self, number: int) -> Account:
        ports.wait_until(lambda: len(self._accounts) >= number or self._process.poll() is not None, _SECONDS)
        if len(self._accounts) < number:
            raise self._failure()
        return self._accounts[number - 1]

    def _failure(self) -> BenchFailed:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return BenchFailed(lines[-1].removeprefix("error: ") if lines else "the worker does not answer")

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._accounts.append(Account.read(line))
