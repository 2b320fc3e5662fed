"""A worker dies before and after each step by which results leave and state is saved: nothing is lost or repeated."""

import random
import signal
import subprocess
import sys

import pytest

from tests.harness import SECONDS, Deployment, Deployments, assert_same
from tests.market import FEATURES, PARTITIONS, RULES, market_topic
from tests.message_log import MessageLog, assert_whole
from tests.recovery.crashing_worker import POINTS, TAKEOVER

SETTINGS = ("run.until_end=true", "micro_batch.max_batch_size=100")
SEED = 20251024


@pytest.fixture(scope="module")
def market(deploy: Deployments) -> str:
    return market_topic(deploy.stack.kafka.bootstrap, 40_000, symbols=20)


def crash(flow: Deployment, point: str, number: int, name: str = "market") -> None:
    """Goes on from where the flow was until it comes to the point."""
    command = [sys.executable, "-m", "tests.recovery.crashing_worker", name, point, str(number), *SETTINGS]
    worker = flow.spawn(command)
    try:
        worker.wait(SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
    assert worker.returncode in (-signal.SIGKILL, 0), flow.said.read_text()[-5_000:]
    assert worker.returncode == -signal.SIGKILL, f"it ended before the {number}. time that {point}"


@pytest.mark.parametrize("turn", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_crash_at_every_point_one_after_the_other_changes_no_row_and_no_record(
    deploy: Deployments, market: str, turn: int
) -> None:
    chance = random.Random(SEED + turn)
    flow = deploy(market, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=f"crashing-{turn}")
    for point in chance.sample(sorted(POINTS), len(POINTS)):
        crash(flow, point, 1 if point in TAKEOVER else chance.randrange(1, 4))
    flow.run()
    whole = deploy(market, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=f"whole-{turn}")
    whole.run()
    assert_same(flow.tables(), whole.tables())
    assert_same(flow.output(), whole.output())


@pytest.mark.slow
def test_a_crash_of_the_persisting_flow_at_every_point_changes_no_row_and_no_record(deploy: Deployments) -> None:
    log = MessageLog(deploy.stack.kafka.bootstrap, 2, count=1_500, seed=9)
    log.produce()
    chance = random.Random(SEED)
    flow = deploy(partitions=2, name="crashing-persist", messages=log.section)
    for point in chance.sample(sorted(POINTS), len(POINTS)):
        crash(flow, point, 1 if point in TAKEOVER else chance.randrange(1, 4), "persist")
    flow.run(flow="persist")
    assert_whole(flow, log)
