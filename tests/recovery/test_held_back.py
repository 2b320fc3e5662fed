"""What the processes of a cluster do while one of them does not get on."""

import os
import signal
import time
from pathlib import Path

from chaos.pipeline import workers_of
from tests.harness import SECONDS, STOPPED, Deployments, until
from tests.market import FEATURES, PARTITIONS, RULES, market_topic

EPOCH = 1.0  # after the next one, sources are held back
WATCHED = 3.0
STAY = "micro_batch.flush_timeout_ms=3600000"


def test_one_that_waits_for_another_one_leaves_the_cpu_to_others(deploy: Deployments) -> None:
    events = market_topic(deploy.stack.kafka.bootstrap, 1_000, symbols=20)
    live = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="held-back")
    cluster = live.start(STAY, workers=2)
    until(lambda: live.has_caught_up() or cluster.poll() is not None, "the market")
    suspended, waiting = workers_of(cluster.pid)
    os.kill(suspended, signal.SIGSTOP)
    elapse(2 * EPOCH)
    before = cpu_seconds(waiting)
    elapse(WATCHED)
    used = cpu_seconds(waiting) - before
    os.kill(suspended, signal.SIGCONT)
    assert used < WATCHED / 4
    cluster.terminate()
    assert cluster.wait(SECONDS) in STOPPED


def elapse(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, "the time")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
