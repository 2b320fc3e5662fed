"""`python -m mdp.cost.worker CONFIG OVERRIDES`: a worker that tells what it has used so far, as lines of JSON.

It does so when the first partition is opened, whenever a line comes on standard input, and at the end.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, NoReturn

from flows.spec import MARKET
from mdp.runtime.errors import explain, one_line, print_traceback
from mdp.runtime.worker import run
from telemetry.metrics import LATENCY, PARTITION_EVENTS, STEP_CPU
from transports.kafka.source import KafkaSource

_STATUS: Final = Path("/proc/self/status")
_PEAK: Final = re.compile(r"VmHWM:\s+(\d+) kB")


def main() -> NoReturn:
    """Ends as `mdp stream run` does; the end of standard input asks for a stop."""
    config, overrides = sys.argv[1:]
    _tell_of_the_first_fetch()
    threading.Thread(target=_heed, daemon=True).start()
    try:
        code = run(MARKET, Path(config), json.loads(overrides), workers=1)
    except Exception as error:  # the last line is shown to the user
        if explain(error) is None:
            print_traceback(type(error), error, error.__traceback__)
        sys.stderr.write(f"error: {explain(error) or one_line(error)}\n")
        sys.exit(2)
    _tell()
    sys.exit(code)


def _tell_of_the_first_fetch() -> None:
    build, told = KafkaSource.build_part, threading.Event()

    def told_once(source: KafkaSource, *place: Any) -> Any:
        if not told.is_set():
            told.set()
            _tell()
        return build(source, *place)

    KafkaSource.build_part = told_once  # type: ignore[assignment,method-assign]


def _heed() -> None:
    for _ in sys.stdin:
        _tell()
    os.kill(os.getpid(), signal.SIGTERM)


def _tell() -> None:
    account = {
        "at": time.monotonic(),
        "cpu": time.process_time(),
        "events": sum(n for (outcome,), n in _samples(PARTITION_EVENTS, "", "outcome") if outcome != "heartbeat"),
        "peak_mb": peak_mb(),
        "steps": {step: seconds for (step,), seconds in _samples(STEP_CPU, "_total", "step")},
        "latency": [[*labels, count] for labels, count in _samples(LATENCY, "_bucket", "until", "le")],
    }
    sys.stdout.write(json.dumps(account) + "\n")
    sys.stdout.flush()


def _samples(metric: Any, suffix: str, *labels: str) -> list[tuple[tuple[str, ...], float]]:
    return [
        (tuple(sample.labels[label] for label in labels), sample.value)
        for family in metric.collect()
        for sample in family.samples
        if sample.name.endswith(suffix)
    ]


def peak_mb() -> float:
    """Resident memory of this process at its most; `ru_maxrss` begins on Linux with that of the parent."""
    if _STATUS.exists() and (found := _PEAK.search(_STATUS.read_text(encoding="ascii", errors="replace"))):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
