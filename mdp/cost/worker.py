"""`python -m mdp.cost.worker CONFIG OVERRIDES`: a worker that reports the resources it has used, as lines of JSON.

It reports when the first partition is opened, for each line on standard input, and at the end.
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
    """Ends as `mdp stream run` does; the end of standard input stops it."""
    config, overrides = sys.argv[1:]
    _report_first_fetch()
    threading.Thread(target=_serve_requests, daemon=True).start()
    try:
        code = run(MARKET, Path(config), json.loads(overrides), workers=1)
    except Exception as error:  # the last line is shown to the user
        if explain(error) is None:
            print_traceback(type(error), error, error.__traceback__)
        sys.stderr.write(f"error: {explain(error) or one_line(error)}\n")
        sys.exit(2)
    _report()
    sys.exit(code)


def _report_first_fetch() -> None:
    build, reported = KafkaSource.build_part, threading.Event()

    def build_and_report(source: KafkaSource, *place: Any) -> Any:
        if not reported.is_set():
            reported.set()
            _report()
        return build(source, *place)

    KafkaSource.build_part = build_and_report  # type: ignore[assignment,method-assign]


def _serve_requests() -> None:
    for _ in sys.stdin:
        _report()
    os.kill(os.getpid(), signal.SIGTERM)


def _report() -> None:
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
    """Peak of this process's resident memory; on Linux `ru_maxrss` would start with the parent's."""
    if _STATUS.exists() and (found := _PEAK.search(_STATUS.read_text(encoding="ascii", errors="replace"))):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
