"""What a contender spends from its first fetch to its last commit: its imports and its start are not counted.

A contender tells on its last line of stdout; the kernel's account of the whole process is taken by who started it.
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
    seconds: of the clock on the wall.
    """

    cpu_s: float
    seconds: float


class Meter:
    """Runs from `begin` to `report`."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Only the first call counts."""
        if self._begun is None:
            self._begun = time.process_time(), time.perf_counter()

    def report(self, waited: float = 0.0) -> None:
        """Says what was spent; `waited` are seconds at the end in which it was only waited for more records."""
        if self._begun is None:  # a process of a cluster may have no partition to read
            return
        cpu, wall = self._begun
        spent = Spent(time.process_time() - cpu, time.perf_counter() - wall - waited)
        sys.stdout.write(f"{json.dumps(asdict(spent))}\n")  # in one piece: the processes of a cluster share it
        sys.stdout.flush()


def metered(run: Callable[..., Any], source: Any) -> Callable[..., Any]:
    """`run`, a function that runs a flow of Bytewax, which now tells what it spent.

    The meter begins when Bytewax builds the first part of a source of this class, which is when its consumer is made.
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
    """What the processes of a contender spent together; they ran side by side."""
    told = [Spent(**json.loads(line)) for line in stdout.splitlines() if line.startswith('{"cpu_s"')]
    return together(told)


def together(told: Sequence[Spent]) -> Spent:
    if not told:
        raise ValueError("a contender has ended without telling what it spent")
    return Spent(sum(one.cpu_s for one in told), max(one.seconds for one in told))
