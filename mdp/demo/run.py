"""One run of the demo: start everything, show it, finish, and check the results."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from flows.config_file import ConfigError, connected, load
from flows.project import SHIPPED, home
from flows.settings import Settings
from mdp.demo import ground, summary
from mdp.demo.account import checks, verdict
from mdp.demo.feed import Feed
from mdp.demo.interrupts import Interrupts
from mdp.demo.observer import Observer
from mdp.demo.picture import save_svg
from mdp.demo.screen import Screen
from mdp.demo.session import Session
from mdp.demo.worker import Worker
from mdp.local import LocalStack, ports
from mdp.runtime.lock_file import exclusive
from mdp.serve import PORT
from mdp.serve.server import PageServer, ServeError

CONFIG: Final = SHIPPED / "demo.yaml"
INTERRUPTED: Final = 130

_METRICS_PORTS: Final = range(10_000, 15_000)
_WORKER_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line. Without `seconds` the run lasts until a signal."""

    seconds: float | None
    rate: float
    symbols: int
    seed: int
    picture: Path | None = None


def run(options: Options, console: Console) -> int:
    """Run the demo without leaving processes; return 0 if every event is accounted for, else 1, or 130 if interrupted.

    Raises:
        MdpError: the demo cannot run; one line says what to do.
    """
    with Interrupts() as interrupts:
        last_line, code = "interrupted: results were not checked", INTERRUPTED
        with ExitStack() as cleanup:
            try:
                last_line, code = _run(options, console, interrupts, cleanup)
            except KeyboardInterrupt:
                console.print("Stopping at once", style="dim")
            finally:
                interrupts.ignored = True
        console.print(last_line, style="bold green" if code == 0 else "bold red")
        return code


def _run(options: Options, console: Console, interrupts: Interrupts, cleanup: ExitStack) -> tuple[str, int]:
    """Return the last line and the exit code; `cleanup` stops what was started."""
    settings, overrides = _prepare(options, console, cleanup)
    worker = Worker(CONFIG, overrides, home() / "logs" / "demo-worker.log")
    cleanup.callback(worker.kill)
    feed = Feed(settings.producers.synthetic, options.rate, settings.bus.kafka)
    cleanup.callback(feed.abandon)
    observer = Observer(settings, feed)
    _await_metrics(worker, observer, console)
    page = _page(settings)
    cleanup.callback(page.stop)
    page.start()
    interrupts.polite = True
    console.print("Worker: ready", style="dim")
    console.print(f"Page: {page.address}", style="dim")
    with Screen(console, settings.features.windows) as screen:
        session = Session(worker, feed, observer, screen, interrupts, page.address)
        view = session.watch(options.seconds)
        found = session.drain()
    worker.stop()
    if options.picture is not None:
        save_svg(view, options.picture)
    results = checks(feed.sent, found)
    summary.show(console, feed.sent, found, results, settings.store.url.get_secret_value())
    return verdict(feed.sent, found, results), 0 if all(check.holds for check in results) else 1


def _prepare(options: Options, console: Console, cleanup: ExitStack) -> tuple[Settings, list[str]]:
    """Start the local stack with empty topics and tables; return the settings, and the overrides for them."""
    refusal = f"another demo runs in {home()}: end it, or set MDP_HOME to another folder"
    cleanup.enter_context(exclusive(home() / "demo.lock", refusal))  # one demo at a time uses its topics and database
    stack = LocalStack(home())
    if not any(service.pid for service in stack.status()):  # a stack that runs already keeps running
        cleanup.callback(stack.down)
    with console.status("Starting the local stack"):
        stack.up(lambda line: console.print(line, style="dim"))
    with console.status("Creating topics and tables"):
        recovery = ground.recovery_folder(home())
        shutil.rmtree(recovery, ignore_errors=True)
        cleanup.callback(shutil.rmtree, recovery, ignore_errors=True)
        overrides = [
            f"store.url={ground.database_url(stack)}",
            f"recovery.directory={recovery}",
            f"telemetry.metrics_port={ports.choose(_METRICS_PORTS, 1)[0]}",
            f"producers.synthetic.symbols={options.symbols}",
            f"producers.synthetic.seed={options.seed}",
        ]
        settings = connected(load(CONFIG, overrides))
        ground.empty_database(stack)
        ground.create_tables(settings)
        ground.empty_topics(settings.bus.kafka)
    console.print("Topics and tables: empty", style="dim")
    return settings, overrides


def _page(settings: Settings) -> PageServer:
    """The live page, on its default port, or else on another one."""
    try:
        return PageServer(settings, ports.HOST, PORT, None)
    except ServeError:
        return PageServer(settings, ports.HOST, 0, None)


def _await_metrics(worker: Worker, observer: Observer, console: Console) -> None:
    """Wait until the worker has started."""
    deadline = time.monotonic() + _WORKER_SECONDS
    with console.status("Starting the worker"):
        while observer.metrics() is None:
            worker.check()
            if time.monotonic() > deadline:
                raise ConfigError(f"the worker does not start; its log is {worker.log}")
            time.sleep(_LOOK_SECONDS)
