"""The benchmark: a log at full speed, then a live market, both by a worker as `mdp stream run` starts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from codec.encode import Encoding
from flows.config_file import config_path, connected, load
from flows.settings import Settings
from mdp.cost.ground import private
from mdp.cost.process import Account, Process
from mdp.ops.produce import Load, send

_WARM_UP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line.

    Attributes:
        count: events of the log that is processed at full speed.
        rate: events per second of event time of the market, which is also the rate of the live market.
        seconds: duration of the live market; 0 for none.
    """

    count: int
    rate: float
    symbols: int
    partitions: int
    encoding: Encoding
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results.

    Attributes:
        start: seconds and CPU seconds from the start of the process to its first fetch.
        log: from the first fetch to the last commit.
        live: the same for the live market, from after the warm-up until the worker has processed all of it, or makes
            no more progress within a minute; None without one.
    """

    start: tuple[float, float]
    log: Account
    live: Account | None


def run(config: Path | None, overrides: Sequence[str], options: Options, say: Callable[[str], None]) -> Report:
    """Measures on private topics and a private database in the local stack; calls `say` with the progress.

    Raises:
        ConfigError: the config is invalid, or another benchmark runs.
        BenchFailed, LocalStackError: a process cannot run; one line says why.
    """
    market = [
        f"producers.synthetic.symbols={options.symbols}",
        f"producers.synthetic.tick_rate={options.rate / options.symbols}",
        *("run.from_ns=null", "run.to_ns=null", "run.until_end=false", "run.name=null", "run.into=null"),
    ]
    load(config, [*overrides, *market])  # reports a mistake before anything is started
    with private(options.partitions, say) as ground, TemporaryDirectory(prefix="mdp-bench-") as folder:
        changes = [*overrides, *market, *ground]
        settings = connected(load(config, changes))
        return _Bench(config or config_path(), changes, settings, options, Path(folder), say).run()


@dataclass(frozen=True, slots=True)
class _Bench:
    config: Path
    overrides: list[str]
    settings: Settings
    options: Options
    folder: Path
    say: Callable[[str], None]

    def run(self) -> Report:
        sent, start, log = self._log()
        return Report(start=start, log=log, live=self._live(sent) if self.options.seconds else None)

    def _log(self) -> tuple[int, tuple[float, float], Account]:
        self.say(f"Writing {self.options.count:,} events")
        sent = self._send(Load(count=self.options.count))
        self.say("Processing them")
        with self._worker("run.until_end=true") as worker:
            begun = worker.begun()
            return sent, (begun.at - worker.started, begun.cpu), worker.ended().since(begun)

    def _live(self, before: int) -> Account:
        rate, seconds = self.options.rate, self.options.seconds
        with self._worker() as worker:
            worker.begun()
            self.say(f"Live: {rate:,.0f} events/s for {seconds:.0f} s, and {_WARM_UP_SECONDS:.0f} s to warm up")
            before += self._send(Load(rate=rate, seconds=_WARM_UP_SECONDS))
            warm = worker.reached(before)
            before += self._send(Load(rate=rate, seconds=seconds))
            return worker.reached(before).since(warm)

    def _send(self, load: Load) -> int:
        """Sends the load; returns the number of records."""
        topic, stop = self.settings.bus.kafka.topic, threading.Event()
        return send(self.settings, load, topic, self.options.encoding, stop=stop, on_progress=lambda _: None).total

    @contextmanager
    def _worker(self, *overrides: str) -> Iterator[Process]:
        worker = Process(self.config, [*self.overrides, *overrides], self.folder / "worker.log")
        try:
            yield worker
        finally:
            worker.kill()
