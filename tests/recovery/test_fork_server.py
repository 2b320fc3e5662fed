"""What the processes of a cluster are forked from: what it may hold, and what its end means to them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.pipeline import workers_of
from tests.harness import Deployment, Deployments, until
from tests.market import FEATURES, PARTITIONS, RULES, market_topic

LOADED = """
from flows.spec import FLOWS
from mdp.runtime import fork_server
for flow in FLOWS:
    fork_server._load(flow)
print(fork_server.threads())
"""
CLUSTER = """
import sys
from flows.spec import MARKET
from mdp.runtime import processes, worker
processes.SERVER = sys.argv[1]
sys.exit(worker.run(MARKET, None, sys.argv[2:], 2))
"""
STAY = "micro_batch.flush_timeout_ms=3600000"


def test_what_is_loaded_starts_no_thread_that_a_fork_would_leave_behind() -> None:
    model = {"MDP_OVERRIDES": '["inference.adapters.sklearn.enabled=true"]'}
    said = subprocess.check_output([sys.executable, "-c", LOADED], text=True, env={**os.environ, **model})
    assert said == "[]\n"


@pytest.mark.slow
def test_where_threads_run_processes_begin_from_nothing(deploy: Deployments) -> None:
    live = deployed(deploy, "threads")
    cluster = live.spawn([sys.executable, "-c", CLUSTER, "tests.recovery.threaded_fork_server", STAY])
    until(lambda: live.has_caught_up() or cluster.poll() is not None, "the market")
    assert ["mdp.runtime.cluster_process" in _command(worker) for worker in workers_of(cluster.pid)] == [True, True]
    cluster.terminate()
    live.ends_well(cluster)


def test_one_that_is_killed_is_replaced_when_all_that_it_has_forked_have_ended(deploy: Deployments) -> None:
    live = deployed(deploy, "orphans")
    cluster = live.start(STAY, workers=2)
    until(lambda: live.has_caught_up() or cluster.poll() is not None, "the market")
    workers = workers_of(cluster.pid)
    os.kill(_parent(workers[0]), signal.SIGKILL)
    until(lambda: len(workers_of(cluster.pid)) == 2 and not set(workers) & set(workers_of(cluster.pid)), "new workers")
    until(lambda: not any(map(_runs, workers)), "the end of processes that have let go of their pipes already")
    cluster.terminate()
    until(lambda: cluster.poll() is not None, "the end")
    assert not workers_of(cluster.pid)


def deployed(deploy: Deployments, name: str) -> Deployment:
    events = market_topic(deploy.stack.kafka.bootstrap, 1_000, symbols=20)
    return deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _runs(pid: int) -> bool:
    """Whether it has not ended: one whose parent has not asked for its end yet is still listed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
