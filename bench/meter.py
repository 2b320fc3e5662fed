"""Resources used by a contender from its first fetch to its last commit, without its imports and start.

A contender reports them on its last line of stdout; its parent takes the kernel's account of the whole process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Spent:
    """Attributes:
    cpu_s: of all threads of the process, in user and in kernel mode.
    seconds: of wall time.
    """

    cpu_s: float
    seconds: float


class Meter:
    """Runs from `begin` to `report`."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Starts the meter; only the first call counts."""
        if self._begun is None:
            self._begun = time.process_time(), time.perf_counter()

    def report(self, waited: float = 0.0) -> None:
        """Prints the account; `waited` are seconds at the end without new records."""
        if self._begun is None:  # a process of a cluster may have no partition to read
            return
        cpu, wall = self._begun
        spent = Spent(time.process_time() - cpu, time.perf_counter() - wall - waited)
        sys.stdout.write(f"{json.dumps(asdict(spent))}\n")  # in one write: the processes of a cluster share it
        sys.stdout.flush()


def metered(run: Callable[..., Any], source: Any) -> Callable[..., Any]:
    """Returns `run`, which runs a Bytewax flow, with a report of its resources.

    The meter starts when Bytewax builds the first part of a source of this class, which creates its consumer.
    """
    meter, build = Meter(), source.build_part

    def build_part(self: Any, *which: Any) -> Any:
        meter.begin()
        return build(self, *which)

    def run_and_report(*arguments: Any, **options: Any) -> Any:
        source.build_part = build_part
        try:
            return run(*arguments, **options)
        finally:
            meter.report()

    return run_and_report


def spent(stdout: str) -> Spent:
    """The resources of a contender's concurrent processes together."""
    reports = [Spent(**json.loads(line)) for line in stdout.splitlines() if line.startswith('{"cpu_s"')]
    return together(reports)


def together(reports: Sequence[Spent]) -> Spent:
    if not reports:
        raise ValueError("a contender has ended without its report")
    return Spent(sum(one.cpu_s for one in reports), max(one.seconds for one in reports))
