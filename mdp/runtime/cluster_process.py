"""`python -m mdp.runtime.cluster_process PROCESS ADDRESSES FLOW FILE`: one process of a cluster on this machine.

It also contains the exit of such a process, whichever way it was started.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NoReturn

from bytewax import errors

from contracts.errors import MdpError
from flows import stop
from flows.config_file import connected, load
from flows.spec import FLOWS, FlowSpec
from mdp.local import ports
from mdp.runtime.cluster import USER_ERROR
from mdp.runtime.errors import causes, explain, print_traceback
from mdp.runtime.log_format import start_logging
from mdp.runtime.processes import AWAY
from mdp.runtime.worker import run_process, show_health
from telemetry import status
from telemetry.whereabouts import SIZE, share
from transports.kafka.errors import may_pass

_FAULT: Final = 1
_NEIGHBOUR_SECONDS: Final = 5.0

log = logging.getLogger("mdp.worker")


class _Raised(errors.BytewaxRuntimeError):
    """Keeps the exception of a step that Bytewax has wrapped.

    In a cluster Bytewax loses it: the communication threads panic before it is raised, and only that panic is raised,
    as in a process whose neighbour has ended.
    """

    all: ClassVar[list[_Raised]] = []

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.all.append(self)


def main() -> NoReturn:
    """Runs the process named by the arguments; its exit code tells the supervisor whether to restart."""
    process, addresses, flow, whereabouts = sys.argv[1:]
    end_after(lambda: run(int(process), addresses.split(";"), FLOWS[flow], int(whereabouts)))


def run(process: int, addresses: Sequence[str], flow: FlowSpec, whereabouts: int) -> int:
    """Runs a process and returns its exit code.

    Args:
        process: its number in the cluster.
        addresses: the addresses of the cluster's processes.
        flow: the flow to run.
        whereabouts: the descriptor of the file that holds `telemetry.whereabouts`, then `telemetry.status`.
    """
    stop.with_parent()
    share(whereabouts, process)
    status.share(whereabouts, SIZE, process)
    settings = connected(load())
    start_logging(settings, process)
    show_health(settings, process)
    _wait_for(addresses[:process])
    return run_process(flow, settings, process, addresses)


def _wait_for(neighbours: Sequence[str]) -> None:
    """Waits until the processes before this one listen, as Bytewax would retry only after a second."""
    numbers = [int(address.rpartition(":")[2]) for address in neighbours]
    ports.wait_until(lambda: all(map(ports.is_taken, numbers)), _NEIGHBOUR_SECONDS)


def end_after(run: Callable[[], int]) -> NoReturn:
    """Exits with the code returned by `run`, or with one for its failure.

    That is 75 if a restart may help, 2 if the user has to fix something.
    """
    errors.BytewaxRuntimeError = _Raised  # type: ignore[misc]
    try:
        code = run()
    except Exception as failure:
        code = _exit_code(failure)
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":  # a class of Bytewax's Rust library, which Python cannot import
            raise
        code = _exit_code(_Raised.all[0]) if _Raised.all else _lost_neighbour()
    _exit(code)


def _exit(code: int) -> NoReturn:
    """Exits at once: after a panic Bytewax's running threads would abort an orderly exit, and hide the code."""
    if code == 0:
        sys.exit()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def _lost_neighbour() -> int:
    log.info("another process of the cluster has ended")
    return AWAY


def _exit_code(failure: Exception) -> int:
    """Logs the failure; returns the exit code."""
    line = explain(failure)
    if line is None:
        print_traceback(type(failure), failure, failure.__traceback__)
        return _FAULT
    if any(map(_passes, causes(failure))):
        log.warning("%s", line)
        return AWAY
    sys.stderr.write(f"error: {line}\n")
    return USER_ERROR


def _passes(cause: BaseException) -> bool:
    """Whether a retry may succeed later."""
    return cause.passes if isinstance(cause, MdpError) else may_pass(cause)


if __name__ == "__main__":
    main()
