"""Runs a dataflow: in this process, or as a Bytewax cluster of processes on this machine."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path

from bytewax._bytewax import cluster_main  # bytewax.testing exports it too, with test tools
from bytewax.dataflow import Dataflow

from flows import stop
from flows.config_file import CONFIG, OVERRIDES, ConfigError, config_path, connected, load
from flows.secrets import masked_tree
from flows.sender import begin_run
from flows.settings import Settings
from flows.spec import FlowSpec
from mdp.runtime import clock_steps, ranges, status_line
from mdp.runtime.errors import one_line
from mdp.runtime.log_format import start_logging
from mdp.runtime.preflight import check
from mdp.runtime.probes import probes
from mdp.runtime.reread import discard_state_if_set_back, rerun_when_set_back
from mdp.runtime.saved_state import SavedState
from mdp.runtime.unsaved_state import explained
from native import memory_tuning
from sinks.queries.stored import progress_of
from sinks.schema.job_runs import Ending, finish_run, start_run
from telemetry import status
from telemetry.endings import never_raising
from telemetry.server import serve
from transports.kafka.topics import most_partitions

log = logging.getLogger("mdp.worker")


def dataflow(flow: FlowSpec) -> Callable[[Settings], Dataflow]:
    """The function that builds a flow: `flows.market.flow` for `market`, and so on."""
    build: Callable[[Settings], Dataflow] = importlib.import_module(f"flows.{flow.name}").flow
    return build


def run(
    flow: FlowSpec,
    config: Path | None,
    overrides: Sequence[str],
    workers: int,
    *,
    reset_state: bool = False,
    quiet: bool = False,
) -> int:
    """Runs `flow` until its end or a signal, and returns the exit code.

    Unless `quiet`, it prints its status on a terminal every few seconds.
    Problems of the config, the broker or the database are found before anything is consumed.

    Raises:
        MdpError: there is a problem; one line says what to do.
    """
    settings = configure(config, overrides)
    reset_state = reset_state and not clock_steps.continues()
    if workers == 1:
        show_health(settings, 0)
    stop.before_the_start()
    saved = SavedState.of(settings, flow)
    if saved is None:
        if reset_state:
            raise ConfigError("a run with --from or --to keeps no state: leave out --reset-state")
        check(settings, flow, dataflow(flow), wait=False)
        run_with_status = partial(_run_with_status, flow, settings, workers, quiet=quiet)
        return ranges.run(flow, settings, run_with_status) if settings.run.is_backtest else run_with_status()
    with saved.locked():
        if not reset_state:
            saved.check()
        check(settings, flow, dataflow(flow), wait=saved.exists)
        saved.prepare(reset=reset_state)
        return _run_with_status(flow, settings, workers, quiet=quiet)


def configure(config: Path | None, overrides: Sequence[str], process: int | None = None) -> Settings:
    """Loads the settings, also for processes started from here, and configures logging."""
    os.environ[CONFIG] = str(config or config_path())
    os.environ[OVERRIDES] = json.dumps(list(overrides))
    settings = connected(load())
    start_logging(settings, process)
    named = ranges.named(settings)
    os.environ[OVERRIDES] = json.dumps([*overrides, *named])
    return connected(load()) if named else settings


def recorded(flow: FlowSpec, settings: Settings, processes: Callable[[], int]) -> int:
    """Runs the processes of a flow, records the run in `job_runs`, and returns the exit code."""
    # Beside the live tables, whatever tables it writes.
    conninfo, run_id = settings.store.url.get_secret_value(), begin_run()
    start_run(conninfo, run_id, flow.id(settings), masked_tree(settings.model_dump(mode="json")))
    ending: Ending = "failed"
    error: str | None = None
    try:
        code = processes()
        ending = "failed" if code else "stopped" if stop.STOP.is_set() else "finished"
    except BaseException as failure:
        error = one_line(failure)
        raise
    finally:
        with never_raising("the end of the run is not recorded in job_runs"):
            counts = progress_of(settings.results_url, flow.progress_id(settings))
            finish_run(conninfo, run_id, ending, counts, error)
            log.info("%s; so far %s", ending, ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items()))
    if code == stop.STUCK:
        stop.exit_stuck()
    return code


def _run_with_status(flow: FlowSpec, settings: Settings, workers: int, *, quiet: bool) -> int:
    with status_line.said(quiet=quiet):
        return recorded(flow, settings, _processes(flow, settings, workers))


def _processes(flow: FlowSpec, settings: Settings, workers: int) -> Callable[[], int]:
    """Runs the flow on this machine: in this process alone, or as a cluster of `workers` processes."""
    if workers == 1:
        return lambda: run_process(flow, settings, 0, [])
    from mdp.runtime import cluster  # noqa: PLC0415 - a worker that runs alone starts sooner without it

    topics = [branch.topic(settings) for branch in flow.branches(settings)]
    status_line.warn_of_idle(workers, most_partitions(settings.bus.kafka, topics))
    return lambda: cluster.run(flow.name, workers, topics, partial(discard_state_if_set_back, settings, flow))


def run_process(
    flow: FlowSpec, settings: Settings, process: int, addresses: Sequence[str], *, own_machine: bool = False
) -> int:
    """Runs one process of a cluster, or the only one; returns the exit code.

    A process on its own machine leaves the state to process 0.
    """
    stop.on_signals()
    clock_steps.watch(alone=not addresses)
    status.keep_fresh()
    memory_tuning.tune()
    sys.setswitchinterval(0.000_5)  # the sinks' threads need the GIL briefly but often: they wait for short answers
    run = partial(_run_dataflow, flow, settings, process, addresses, own_machine=own_machine)
    return run() if addresses else rerun_when_set_back(settings, flow, run)


def _run_dataflow(
    flow: FlowSpec, settings: Settings, process: int, addresses: Sequence[str], *, own_machine: bool
) -> int:
    saved = SavedState.of(settings, flow)
    try:
        with explained(saved.folder) if saved else nullcontext():
            cluster_main(
                dataflow(flow)(settings),
                list(addresses),
                process,
                epoch_interval=timedelta(seconds=settings.recovery.interval_s),
                recovery_config=saved.config_of(process if own_machine else 0) if saved else None,
            )
    except KeyboardInterrupt:  # Bytewax raises it for any signal
        return stop.STUCK
    return 0


def show_health(settings: Settings, process: int) -> None:
    """Serves metrics, /health and /ready from now on, also while the process waits for services at its start."""
    serve(settings.telemetry, process, probes(settings))
