"""One process of a cluster whose processes are started separately, as on Kubernetes, rather than by `cluster`."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from contracts.errors import MdpError
from flows import stop
from flows.config_file import ConfigError
from flows.settings import Settings
from flows.spec import FlowSpec
from mdp.runtime import status_line
from mdp.runtime.preflight import check
from mdp.runtime.reread import discard_state_if_set_back
from mdp.runtime.saved_state import SavedState
from mdp.runtime.worker import configure, dataflow, recorded, run_process, show_health
from sinks.schema.job_runs import config_of_live_run
from telemetry.outage import wait_out
from telemetry.partition_lag import readings
from transports.kafka.topics import most_partitions

_HANDLER_SECONDS: Final = 0.5
_DECISIVE: Final = (
    "micro_batch",
    "features",
)  # of the config; inference names files, whose paths may differ
_ADDRESS: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


class _NoFirstProcess(Exception):  # noqa: N818 - a state of the cluster, not a fault of the program
    """Process 0 does not run, or with another config that affects the results."""


class AddressError(MdpError):
    """The addresses of a cluster's processes are invalid; one line says what to do."""


def addresses_of(text: str) -> list[str]:
    """Parses `host:port,host:port,…` into addresses, one for each process, in their order.

    Raises:
        AddressError: one is invalid or repeated.
    """
    addresses = [address.strip() for address in text.split(",")]
    for address in addresses:
        found = _ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found[1]) < 65_536:
            raise AddressError(f"{address!r} is not an address: write host:port for each process, separated by commas")
    if len(set(addresses)) < len(addresses):
        raise AddressError("an address is repeated: give each process its own")
    return addresses


def run(
    flow: FlowSpec,
    config: Path | None,
    overrides: Sequence[str],
    process: int,
    addresses: Sequence[str],
    *,
    reset_state: bool = False,
    quiet: bool = False,
) -> int:
    """Runs process `process` of `flow` until its end, a signal, or the end of another process; returns the exit code.

    It waits for Kafka, the database and the other processes. Process 0 keeps the saved state and the record of the run.
    Unless `quiet`, it prints its own status on a terminal.

    Raises:
        MdpError: a problem that waiting does not solve; one line says what to do.
    """
    if not 0 <= process < len(addresses):
        raise AddressError(f"process {process} is not among the {len(addresses)} addresses: processes count from 0")
    settings = configure(config, overrides, process)
    show_health(settings, 0)
    saved = SavedState.of(settings, flow)
    if saved is None:
        raise ConfigError("a part of the log is read on one machine: leave out --process and --addresses")
    stop.before_the_start()
    check(settings, flow, dataflow(flow), wait=True)
    wait_out(lambda: _listen(addresses[process]), OSError, "the own address of this process")
    if process:
        wait_out(lambda: _find_first(settings, flow), _NoFirstProcess, "process 0")
        wait_out(lambda: _match_first(settings, flow), _NoFirstProcess, "process 0 with the config of this one")
    _handle_signals()
    topics = [branch.topic(settings) for branch in flow.branches(settings)]
    status_line.warn_of_idle(len(addresses), most_partitions(settings.bus.kafka, topics))
    with status_line.said(quiet=quiet):
        if process:
            return run_process(flow, settings, process, addresses, own_machine=True)
        with saved.locked():
            if not reset_state:
                saved.check()
            saved.prepare(reset=reset_state)
            discard_state_if_set_back(settings, flow)
            return recorded(flow, settings, lambda: run_process(flow, settings, 0, addresses, own_machine=True))


def _find_first(settings: Settings, flow: FlowSpec) -> Mapping[str, Any]:
    """The config of process 0; fails until it runs."""
    first = config_of_live_run(settings.store.url.get_secret_value(), flow.id(settings))
    if first is None:
        raise _NoFirstProcess(f"no run of {flow.id(settings)} has begun")
    return first


def _match_first(settings: Settings, flow: FlowSpec) -> None:
    """Fails until process 0 has the same config: a cluster with two configs would mix their results."""
    first, own = _find_first(settings, flow), settings.model_dump(mode="json")
    if others := [part for part in _DECISIVE if own[part] != first.get(part)]:
        raise _NoFirstProcess(f"it has another {' and '.join(others)}: give all processes one config")


def _listen(address: str) -> None:
    """Fails until the name resolves to this machine: it may be new, or still resolve to the former one."""
    name, _, port = address.rpartition(":")
    host = name.strip("[]")
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    socket.create_server((host, int(port)), family=family).close()


def _handle_signals() -> None:
    """Lets a signal end the process even while it waits for the others in code that runs no signal handlers."""
    signals, handler = os.pipe()
    os.set_blocking(handler, False)
    signal.set_wakeup_fd(handler, warn_on_full_buffer=False)
    threading.Thread(target=_end_on, args=[signals], name="signals", daemon=True).start()


def _end_on(signals: int) -> None:
    while True:
        [number] = os.read(signals, 1)
        is_stop = number in (signal.SIGINT, signal.SIGTERM)
        if is_stop and not stop.STOP.wait(_HANDLER_SECONDS) and not readings():  # nothing was consumed: nothing to save
            sys.stderr.write("stopped before all processes of the cluster had started\n")
            sys.stderr.flush()
            os._exit(0)
