"""`python -m bench.symbols`: an hour of 50,000 symbols through the whole market flow, and its memory.

Each symbol trades rarely, so after the longest horizon nearly all of them are in the state at once. The features, rules
and windows are those of configs/streaming.yaml. The memory is the worker's peak by the kernel's account.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from connectors.pacing import WallClock, at_once
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from mdp.local import LocalStack
from transports.kafka.producer import produce

PROJECT = Path(__file__).resolve().parent.parent
TOPIC = "mdp.events"
RATE = 300.0  # events per second of event time, of all symbols together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=50_000)
    parser.add_argument("--minutes", type=int, default=60, help="of event time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdp-symbols-") as folder:
        stack = LocalStack(Path(folder) / "mdp")
        try:
            print("starting Kafka and PostgreSQL", file=sys.stderr)
            stack.up()
            measure(stack, given.symbols, given.minutes)
        finally:
            stack.remove()


def measure(stack: LocalStack, symbols: int, minutes: int) -> None:
    environment = {**os.environ, "MDP_HOME": str(stack.root)}
    mdp(environment, "topics", "apply")
    seconds = 60 * minutes
    config = SyntheticConfig(symbols=symbols, tick_rate=RATE / symbols, duplicates=0.01, out_of_order=0.01, seed=1)
    market = SyntheticMarket(config, time.time_ns() - seconds * 10**9).chunks(int(seconds * RATE))
    sent = produce(at_once(market, WallClock(threading.Event())), {"bootstrap.servers": stack.kafka.bootstrap}, TOPIC)
    print(f"{sum(sent.by_kind.values()):,} events of {symbols:,} symbols in {minutes} minutes", file=sys.stderr)
    used = mdp(environment, "stream", "run", "--until-end")
    saved = sum(file.stat().st_size for file in (stack.root / "recovery").rglob("*") if file.is_file())
    print(f"resident memory at most {used.ru_maxrss / 1024:,.0f} MB, saved state {saved / 2**20:,.0f} MB,", end=" ")
    print(f"{used.ru_utime + used.ru_stime:.1f} CPU-s")


def mdp(environment: dict[str, str], *arguments: str) -> resource.struct_rusage:
    """Runs a command; returns its resource usage."""
    command = [sys.executable, "-c", "from mdp.cli import main; main()", *arguments]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"mdp {' '.join(arguments)} ended with exit code {process.returncode}")
    return usage


if __name__ == "__main__":
    main()
