"""`python -m bytewax.run` runs the same dataflow as `mdp`, with its own flags for workers, clusters and recovery."""

import json
import sys

import pytest

from mdp.local import ports
from tests.harness import Deployment, Deployments, assert_same
from tests.market import FEATURES, PARTITIONS, RULES

BYTEWAX = [sys.executable, "-m", "bytewax.run", "flows.market:flow"]
UNTIL_END = {"MDP_OVERRIDES": json.dumps(["run.until_end=true"])}


def another(deploy: Deployments, like: Deployment, name: str) -> Deployment:
    return deploy(like.events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name)


def assert_same_output(actual: Deployment, expected: Deployment) -> None:
    assert_same(actual.tables(), expected.tables())
    assert_same(actual.output(), expected.output())


def test_worker_threads(deploy: Deployments, reference: Deployment) -> None:
    threads = another(deploy, reference, "threads")
    threads.ends_well(threads.spawn([*BYTEWAX, "-w", "2"], **UNTIL_END))
    assert_same_output(threads, reference)


@pytest.mark.slow
def test_a_cluster_with_recovery(deploy: Deployments, reference: Deployment) -> None:
    cluster = another(deploy, reference, "processes")
    store = cluster.folder / "recovery"
    store.mkdir()
    cluster.ends_well(cluster.spawn([sys.executable, "-m", "bytewax.recovery", str(store), "2"]))
    for _ in range(2):  # the second time from what the first has saved
        addresses = ";".join(f"{ports.HOST}:{port}" for port in ports.choose(range(20_000, 25_000), 2))
        flags = ["-r", str(store), "-s", "1", "-b", "0", "-a", addresses]
        processes = [cluster.spawn([*BYTEWAX, *flags, "-i", str(number)], **UNTIL_END) for number in range(2)]
        cluster.ends_well(*processes)
        assert_same_output(cluster, reference)
