"""`python -m bench.start`: the time of `mdp --help`, and of a worker with rules from its start to its first batch.

The worker is `mdp stream run` with configs/streaming.yaml and without saved state, on a topic with some events. Its
first batch counts when its progress can be read in the database, so the time includes everything up to the first
commit. Each is started several times; the first start, which warms the disk cache, does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psycopg
from confluent_kafka import Producer

from bench import results
from bench.latency_feed import market, value
from mdp.local import LocalStack

PROJECT: Final = Path(__file__).resolve().parent.parent
HELP_SECONDS: Final = 0.4
FIRST_BATCH_SECONDS: Final = 2.5
_EVENTS: Final = 1_000
_PARTITIONS: Final = 4
_MDP: Final = "from mdp.cli import main; main()"
_PROGRESS: Final = "SELECT 1 FROM progress WHERE flow LIKE %s AND next_offset > first_offset LIMIT 1"
_LOOK_SECONDS: Final = 0.002


def help_seconds() -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", _MDP, "--help"], cwd=PROJECT, check=True, capture_output=True, env=_compiled()
    )
    return time.perf_counter() - began


def first_batch_seconds(stack: LocalStack, folder: Path) -> float:
    """Starts a worker with its own saved state and progress, and ends it after its first batch."""
    command = [sys.executable, "-c", _MDP, "stream", "run", "--name", folder.name]
    command += ["--set", f"recovery.directory={folder}", "--set", "telemetry.metrics_port=0"]
    environment = {**_compiled(), "MDP_HOME": str(stack.root)}
    said = folder.with_suffix(".log")
    with psycopg.connect(stack.postgres.conninfo(), autocommit=True) as connection, said.open("wb") as log:
        began = time.perf_counter()
        worker = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        try:
            while connection.execute(_PROGRESS, [f"{folder.name}-%"]).fetchone() is None:
                if worker.poll() is not None:
                    raise SystemExit(f"FAILED: the worker has ended: {said.read_text()[-500:]}")
                time.sleep(_LOOK_SECONDS)
            took = time.perf_counter() - began
        finally:
            worker.terminate()
            worker.wait()
    return took


def _compiled() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _prepare(stack: LocalStack) -> None:
    """The topics, the schema, and some events."""
    environment = {**_compiled(), "MDP_HOME": str(stack.root)}
    for command in (("topics", "apply"), ("store", "migrate")):
        subprocess.run(
            [sys.executable, "-c", _MDP, *command], cwd=PROJECT, env=environment, check=True, capture_output=True
        )
    parts = market([f"S{number:03d}" for number in range(100)], _PARTITIONS)
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap})
    now = time.time_ns() // 1_000
    for number in range(_EVENTS):
        part = parts[number % len(parts)]
        producer.produce("mdp.events", value(part, now + number, number // len(parts)), part.key, part.partition)
    producer.flush(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    asked = parser.parse_args()
    helps = [help_seconds() for _ in range(asked.times + 1)][1:]
    with tempfile.TemporaryDirectory(prefix="mdp-start-") as folder:
        stack = LocalStack(Path(folder) / "mdp")
        try:
            stack.up()
            _prepare(stack)
            workers = [first_batch_seconds(stack, Path(folder) / f"run-{number}") for number in range(asked.times + 1)][
                1:
            ]
        finally:
            stack.remove()
    found = {"help_s": round(statistics.median(helps), 3), "first_batch_s": round(statistics.median(workers), 3)}
    results.keep("start", found)
    print(f"{'mdp --help, s':40}{found['help_s']:8.2f}  target <= {HELP_SECONDS}")
    print(
        f"{'worker with rules to its first batch, s':40}{found['first_batch_s']:8.2f}  target <= {FIRST_BATCH_SECONDS}"
    )


if __name__ == "__main__":
    main()
