"""`python -m mdp.runtime.cluster_process PROCESS ADDRESSES FLOW FILE`: one process of a cluster on this machine.

What it takes to end such a process, whoever has started it, is here too.
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
from mdp.runtime.processes import AWAY
from mdp.runtime.worker import run_process, show_health, start_logging
from telemetry import status
from telemetry.whereabouts import SIZE, share
from transports.kafka.errors import may_pass

_FAULT: Final = 1
_NEIGHBOUR_SECONDS: Final = 5.0

log = logging.getLogger("mdp.worker")


class _Raised(errors.BytewaxRuntimeError):
    """What a step has raised, wrapped by Bytewax, and kept here.

    In a cluster Bytewax loses it: the threads that talk to the other processes panic while it is on its way, and all
    that comes out is that panic, as in a process whose neighbour has ended.
    """

    all: ClassVar[list[_Raised]] = []

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.all.append(self)


def main() -> NoReturn:
    """Runs the process that the arguments name; its exit code tells who started it whether to start again."""
    process, addresses, flow, whereabouts = sys.argv[1:]
    end_after(lambda: run(int(process), addresses.split(";"), FLOWS[flow], int(whereabouts)))


def run(process: int, addresses: Sequence[str], flow: FlowSpec, whereabouts: int) -> int:
    """Runs a process to its exit code.

    Args:
        process: its number in the cluster.
        addresses: where the processes of the cluster find each other.
        flow: what they run.
        whereabouts: the descriptor of the file of `telemetry.whereabouts`, and then of `telemetry.status`.
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
    """Bytewax asks again only after a second if one of those before it does not listen yet."""
    numbers = [int(address.rpartition(":")[2]) for address in neighbours]
    ports.wait_until(lambda: all(map(ports.is_taken, numbers)), _NEIGHBOUR_SECONDS)


def end_after(run: Callable[[], int]) -> NoReturn:
    """Ends with the exit code of what runs a process of a cluster, or the one that tells why it failed.

    That is 75 after what another start may mend, 2 after what only people can.
    """
    errors.BytewaxRuntimeError = _Raised  # type: ignore[misc]
    try:
        code = run()
    except Exception as failure:
        code = _exit_code(failure)
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":  # Bytewax has it from a crate, and Python cannot import it
            raise
        code = _exit_code(_Raised.all[0]) if _Raised.all else _lost_neighbour()
    _exit(code)


def _exit(code: int) -> NoReturn:
    """At once: after a panic the threads of Bytewax that still run would abort an orderly end, and hide the code."""
    if code == 0:
        sys.exit()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def _lost_neighbour() -> int:
    log.info("another process of the cluster has ended")
    return AWAY


def _exit_code(failure: Exception) -> int:
    """The exit code; says what happened."""
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
    """Whether the same may succeed later."""
    return cause.passes if isinstance(cause, MdpError) else may_pass(cause)


if __name__ == "__main__":
    main()
