"""One run from its start to its verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chaos.case import Judge
from chaos.faults import KILL, LOSSES, Fault, inject
from chaos.outputs import Findings
from chaos.pipeline import Pipeline, PipelineFailed
from chaos.watch import Watch

CATCH_UP_SECONDS: Final = 10.0

_LOOK_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 4.0  # longer than heartbeats take to close the last windows
_SETTLE_SECONDS: Final = 180.0

Say = Callable[[str], None]


@dataclass
class Result:
    """The faults and their results.

    Attributes:
        catch_ups: for each killed worker, seconds from the kill until everything was written that the log had held two
            seconds earlier, and at least a second after the kill; None if another fault interfered, or the log was
            still being read again.
    """

    findings: Findings
    faults: Counter[str] = field(default_factory=Counter)
    catch_ups: list[float | None] = field(default_factory=list)
    longest_stall: float = 0.0
    restarts: int = 0
    late_stops: int = 0

    @property
    def slowest(self) -> float:
        return max((seconds for seconds in self.catch_ups if seconds is not None), default=0.0)


@dataclass
class _Run:
    pipeline: Pipeline
    watch: Watch
    say: Say
    began: float = field(default_factory=time.monotonic)
    faults: Counter[str] = field(default_factory=Counter)
    catch_ups: list[float | None] = field(default_factory=list)
    killed_at: float | None = None
    lost_at: float | None = None  # time of a loss of outputs that is not restored yet

    def until(self, moment: float) -> None:
        """Keeps the pipeline going until `moment` seconds into the load."""
        while time.monotonic() - self.began < moment:
            self.look()

    def look(self) -> None:
        self.pipeline.keep_going()
        if self.lost_at is not None and self.watch.has_caught_up_since(self.lost_at):
            self.lost_at = None
        if self.killed_at is not None and self.watch.has_caught_up_since(self.killed_at):
            self._caught_up(time.monotonic() - self.killed_at)
        time.sleep(_LOOK_SECONDS)

    def inject(self, fault: Fault) -> None:
        if self.killed_at is not None:
            elapsed = time.monotonic() - self.killed_at
            self._caught_up(elapsed if elapsed > CATCH_UP_SECONDS else None)
        self.say(f"{time.monotonic() - self.began:7.1f} s  {fault.kind} ({self.pipeline.workers} workers)")
        inject(fault, self.pipeline)
        self.faults[fault.kind] += 1
        if fault.kind in LOSSES:
            self.lost_at = time.monotonic()
        if fault.kind == KILL:
            self._killed()

    def _killed(self) -> None:
        if self.lost_at is None:
            self.killed_at = time.monotonic()
        else:
            self._caught_up(None)

    def _caught_up(self, seconds: float | None) -> None:
        self.catch_ups.append(seconds)
        self.killed_at = None
        self.say("           not measured" if seconds is None else f"           caught up after {seconds:.1f} s")

    def settle(self, judge: Judge) -> None:
        """Waits until everything is written, including windows closed by heartbeats.

        Raises:
            PipelineFailed: that does not happen in time.
        """
        moved_at = deadline = time.monotonic()
        while time.monotonic() - moved_at < _QUIET_SECONDS:
            self.look()
            if self.watch.lag or not self.pipeline.load_has_ended or not judge.has_all():
                moved_at = time.monotonic()
            if time.monotonic() - deadline > _SETTLE_SECONDS:
                raise PipelineFailed(f"{self.watch.lag} records are not written: see {self.pipeline.said}")


def run(pipeline: Pipeline, faults: Sequence[Fault], *, rate: float, seconds: float, seed: int, say: Say) -> Result:
    """Sets the pipeline up, loads it, injects the faults, and compares the outputs; tears everything down.

    Raises:
        PipelineFailed: it has ended permanently, or does not catch up.
    """
    judge = watch = None
    try:
        pipeline.set_up()
        watch = Watch(pipeline)
        pipeline.start()
        pipeline.start_load(rate, seconds, seed)
        judge = pipeline.case.judging(pipeline, seed)
        going = _Run(pipeline, watch, say)
        for fault in faults:
            going.until(fault.at)
            going.inject(fault)
        going.until(seconds)
        judge.end_load()
        say(f"{seconds:7.1f} s  the load has ended: everything has to be written")
        going.settle(judge)
        pipeline.stop()
        watch.stop()
        # not up to the log's end: the last heartbeats may have been written after the workers stopped reading
        findings = judge.findings(watch.written)
        return Result(
            findings, going.faults, going.catch_ups, watch.longest_stall, pipeline.restarts, pipeline.late_stops
        )
    finally:
        if judge is not None:
            judge.stop()
        if watch is not None:
            watch.stop()
        pipeline.tear_down()
