"""Our worker: the same as `mdp stream run --until-end` with configs/streaming.yaml."""

from __future__ import annotations

import argparse
import sys

from bench import meter
from flows.spec import MARKET
from mdp.runtime import processes, worker
from transports.kafka.source import KafkaSource

OUTPUTS = ("signals", "bars", "dlq", "late")
BARS_ALONE = ("features.windows=[]", "inference.adapters.rules.enabled=false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--outputs", required=True, help="prefix of the output topics' names")
    parser.add_argument("--recovery", required=True, help="folder of the saved state")
    parser.add_argument("--bars", action="store_true", help="without features and signals")
    parser.add_argument("--envelopes", action="store_true", help="of trades in envelopes")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    asked = parser.parse_args()
    overrides = [
        f"bus.kafka.topic={asked.topic}",
        *(f"bus.kafka.{output}_topic={asked.outputs}.{output}" for output in OUTPUTS),
        *(BARS_ALONE if asked.bars else ()),
        *(("market.input=envelopes",) if asked.envelopes else ()),
        f"recovery.directory={asked.recovery}",
        "telemetry.metrics_port=0",
        "run.until_end=true",
    ]
    sys.exit(_run(overrides, asked.workers))


def _run(overrides: list[str], workers: int) -> int:
    if workers > 1:
        processes.SERVER = "bench.fork_server"
    else:
        worker.run_process = meter.metered(worker.run_process, KafkaSource)
    return worker.run(MARKET, None, overrides, workers)


if __name__ == "__main__":
    main()
