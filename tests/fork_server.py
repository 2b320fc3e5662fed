"""`python -m tests.fork_server`: forks the processes that tests order (`tests.forked`), until the tests have ended."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import selectors
import signal
import socket
import sys
from importlib import import_module

import mdp.cli.stream
import mdp.runtime.worker
from flows.spec import FLOWS
from mdp.runtime.fork_server import threads
from tests.forked import REPORT, Order

_SIZE = 1 << 20  # of an order: its environment is most of it
_LOADED = (mdp.cli.stream, mdp.runtime.worker)


class _Server:
    def __init__(self) -> None:
        self._tests = socket.socket(fileno=os.dup(0))
        self._reports: dict[int, int] = {}  # by process id: where the tests read its exit code
        self._child_ended, self._woken = os.pipe()
        for end in (self._child_ended, self._woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Order | None:
        """Returns an order in the process that is to execute it; None in the server, when the tests have ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._tests, selectors.EVENT_READ)
            selector.register(self._child_ended, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._child_ended in ready:
                    os.read(self._child_ended, 1_024)
                    self._report_ends()
                if self._tests in ready:
                    content, descriptors, _, _ = socket.recv_fds(self._tests, _SIZE, 2)
                    if not content:
                        return None
                    order: Order = pickle.loads(content)
                    if self._is_forked(*descriptors):
                        return order

    def _is_forked(self, said: int, report: int) -> bool:
        """Forks; returns whether this is the new process."""
        child = os.fork()
        if child:
            self._reports[child] = report
            os.close(said)
            return False
        os.setsid()
        os.write(report, REPORT.pack(os.getpid()))
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for ours, standard in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(ours, standard)
        for descriptor in (*self._reports.values(), report, said, nothing, self._child_ended, self._woken):
            os.close(descriptor)
        self._tests.close()
        return True

    def _report_ends(self) -> None:
        """Processes that have ended stay in the table of processes, so that nobody else gets their ids."""
        for child in list(self._reports):
            ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                report = self._reports.pop(child)
                with contextlib.suppress(BrokenPipeError):  # the tests have ended
                    os.write(report, REPORT.pack(code))
                os.close(report)


def main() -> None:
    for flow in FLOWS:
        import_module(f"flows.{flow}")
    assert not threads(), "a fork would leave these behind"
    gc.collect()
    gc.freeze()
    order = _Server().serve()
    if order is not None:
        _execute(order)


def _execute(order: Order) -> None:
    os.environ.clear()
    os.environ.update(order.environment)
    sys.argv[1:] = order.arguments
    module, _, function = order.function.partition(":")
    sys.exit(getattr(import_module(module), function)())


if __name__ == "__main__":
    main()
