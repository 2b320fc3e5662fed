"""The servers and processes of one run of the latency measurement, and their results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bench.latency_feed import partition_of
from contracts.duration import format_duration
from contracts.timestamps import parse_timestamp
from mdp.local import LocalStack

PROJECT: Final = Path(__file__).resolve().parent.parent
PARTITIONS: Final = 4
ALLOW_LATE_MS: Final = 500
_STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.5
_LAST_SECONDS: Final = 5.0  # for results in flight when the feed has ended
_MDP: Final = (sys.executable, "-c", "from mdp.cli import main; main()")


@dataclass(frozen=True)
class Job:
    """One run: rate, duration and settings.

    Attributes:
        warm_up: seconds at the beginning that are not measured.
        overrides: `key.path=value` texts for the worker.
        steps: whether the worker records when each of its steps begins and ends.
        floor: whether `bench.latency_floor` runs in the worker's place.
    """

    rate: int
    seconds: float
    warm_up: float
    window_ms: int
    linger_ms: float
    symbols: tuple[str, ...]
    overrides: tuple[str, ...]
    steps: bool
    floor: bool = False

    @property
    def marks(self) -> list[str]:
        """A symbol of each partition, in their order."""
        first: dict[int, str] = {}
        for symbol, partition in partition_of(list(self.symbols), PARTITIONS).items():
            first.setdefault(partition, symbol)
        return [first[partition] for partition in range(PARTITIONS)]


@dataclass(frozen=True)
class Close:
    """The close of a window on a partition: when its event was produced, and its results seen; nanoseconds."""

    partition: int
    end: int
    produced: int
    signal: int | None
    bar: int | None


@dataclass(frozen=True)
class Found:
    closes: list[Close]
    events_per_s: float
    signals_per_s: float
    worker_cpu: float
    feed_cpu: float
    busy: float
    trace: Path


class Site:
    """The servers and processes of one run."""

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder, self.job = folder, job
        self.stack = LocalStack(folder / "mdp")
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment |= {"MDP_HOME": str(self.stack.root), "MDP_CONFIG": str(PROJECT / "configs/streaming.yaml")}

    def measure(self) -> Found:
        self.stack.up()
        for command in (("topics", "apply"), ("store", "migrate")):
            subprocess.run([*_MDP, *command], cwd=PROJECT, env=self._environment, check=True, capture_output=True)
        began, busy = time.monotonic(), _busy()
        with self._worker() as worker, self._watch() as watch:
            self._feed(worker)
            share = (_busy() - busy) / (time.monotonic() - began) / (os.cpu_count() or 1)
            time.sleep(_LAST_SECONDS)
            watch.communicate()
            self._check(worker)
            cpu = _stopped(worker) / (time.monotonic() - began)
        return self._found(cpu, share)

    @contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "worker.log").open("wb") as said:
            command = self._floor() if self.job.floor else self._mdp()
            worker = subprocess.Popen(command, cwd=PROJECT, env=self._environment, stdout=said, stderr=said)
        try:
            yield worker
        finally:
            worker.kill()
            worker.wait()

    def _mdp(self) -> list[str]:
        settings = [
            f"micro_batch.window_ms={self.job.window_ms}",
            f"micro_batch.allow_late_ms={ALLOW_LATE_MS}",
            f"inference.adapters.rules.file={self._rules()}",
            "telemetry.metrics_port=0",
            *self.job.overrides,
        ]
        if self.job.steps:
            return [sys.executable, "-m", "bench.latency_steps", str(self.trace), *settings]
        return [*_MDP, "stream", "run", *(part for setting in settings for part in ("--set", setting))]

    def _floor(self) -> list[str]:
        given = {
            "brokers": self.stack.kafka.bootstrap,
            "conninfo": self.stack.postgres.conninfo(),
            "partitions": PARTITIONS,
            **self._window,
        }
        return [sys.executable, "-m", "bench.latency_floor", *_options(given)]

    @property
    def _window(self) -> dict[str, Any]:
        interval = format_duration(self.job.window_ms * 1_000_000)
        return {"interval": interval, "window-ms": self.job.window_ms, "allow-late-ms": ALLOW_LATE_MS}

    @contextmanager
    def _watch(self) -> Iterator[subprocess.Popen[bytes]]:
        given = {
            "brokers": self.stack.kafka.bootstrap,
            "topic": "mdp.signals",
            "partitions": PARTITIONS,
            "conninfo": self.stack.postgres.conninfo(),
            "symbols": ",".join(self.job.marks),
            **self._window,
            "found": self.folder / "seen.json",
        }
        command = [sys.executable, "-m", "bench.latency_watch", *_options(given)]
        watch = subprocess.Popen(command, cwd=PROJECT, env=self._environment, stdin=subprocess.PIPE)
        try:
            yield watch
        finally:
            watch.kill()
            watch.wait()

    def _check(self, worker: subprocess.Popen[bytes]) -> None:
        if worker.poll() is not None:
            raise SystemExit(f"FAILED: the worker has ended: {(self.folder / 'worker.log').read_text()[-6_000:]}")

    def _feed(self, worker: subprocess.Popen[bytes]) -> None:
        given = {
            "brokers": self.stack.kafka.bootstrap,
            "topic": "mdp.events",
            "partitions": PARTITIONS,
            "symbols": ",".join(self.job.symbols),
            "rate": self.job.rate,
            "seconds": self.job.warm_up + self.job.seconds,
            "window-ms": self.job.window_ms,
            "allow-late-ms": ALLOW_LATE_MS,
            "linger-ms": self.job.linger_ms,
            "found": self.folder / "sent.json",
        }
        command = [sys.executable, "-m", "bench.latency_feed", *_options(given)]
        feed = subprocess.Popen(command, cwd=PROJECT, env=self._environment)
        try:
            while feed.poll() is None:
                self._check(worker)
                time.sleep(_LOOK_SECONDS)
        finally:
            feed.kill()
            feed.wait()
        if feed.returncode:
            raise SystemExit(f"FAILED: the load has ended with exit code {feed.returncode}")

    def _rules(self) -> Path:
        mark = {"name": "close", "condition": "trades > 0", "signal": 1.0, "score": 1.0, "symbols": self.job.marks}
        rules = yaml.safe_load((PROJECT / "configs/rules.yaml").read_text(encoding="utf-8"))
        file = self.folder / "rules.yaml"
        file.write_text(yaml.safe_dump([*rules, mark]), encoding="utf-8")
        return file

    @property
    def trace(self) -> Path:
        return self.folder / "trace.json"

    def _found(self, worker_cpu: float, busy: float) -> Found:
        sent = json.loads((self.folder / "sent.json").read_text())
        seen = json.loads((self.folder / "seen.json").read_text())
        signals = {(partition, parse_timestamp(end)): at for partition, end, at, _ in seen["signals"]}
        partitions = {symbol: partition for partition, symbol in enumerate(self.job.marks)}
        bars = {(partitions[symbol], end * 1_000_000): at for symbol, end, at in seen["bars"]}
        counted_from = min(produced for _, _, produced in sent["closers"]) + int(self.job.warm_up * 1e9)
        closes = [
            Close(partition, end, produced, signals.get((partition, end)), bars.get((partition, end)))
            for partition, end, produced in sent["closers"]
            if produced >= counted_from
        ]
        total = sum(count for *_, count in seen["signals"])
        rate, signals_per_s = sent["sent"] / sent["seconds"], total / sent["seconds"]
        return Found(closes, rate, signals_per_s, worker_cpu, sent["cpu_s"] / sent["seconds"], busy, self.trace)


def _options(given: dict[str, Any]) -> list[str]:
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def _stopped(worker: subprocess.Popen[bytes]) -> float:
    """Ends the worker like Ctrl-C; returns its CPU seconds."""
    before = os.times()
    worker.send_signal(signal.SIGTERM)
    worker.wait(_STOP_SECONDS)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def _busy() -> float:
    """Busy CPU seconds of the whole machine; 0 if the system does not provide them."""
    try:
        user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
