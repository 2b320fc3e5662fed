"""Our worker on the same job: everything that `mdp stream run --until-end` does, without features and signals."""

from __future__ import annotations

import argparse
import sys

from mdp import worker

OUTPUTS = ("signals", "bars", "dlq", "late")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--outputs", required=True, help="what the names of the output topics begin with")
    parser.add_argument("--recovery", required=True, help="folder of the saved state")
    asked = parser.parse_args()
    overrides = [
        f"bus.kafka.topic={asked.topic}",
        *(f"bus.kafka.{output}_topic={asked.outputs}.{output}" for output in OUTPUTS),
        "features.windows=[]",
        "inference.adapters.rules.enabled=false",
        f"recovery.directory={asked.recovery}",
        "telemetry.metrics_port=0",
        "run.until_end=true",
    ]
    sys.exit(worker.run("market", None, overrides, workers=1))


if __name__ == "__main__":
    main()
