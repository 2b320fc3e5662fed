"""What is persisted is what was sent, at scale: MDP_MESSAGES=1000000 takes a million messages in place of 100,000."""

from __future__ import annotations

import os
import shutil

import pytest

from contracts.registry import stored_types
from tests.harness import Deployments, kill, until
from tests.message_log import MessageLog, assert_whole, row_versions

MESSAGES = int(os.environ.get("MDP_MESSAGES", "100000"))
PARTITIONS = 2
WORKERS = (1, 2, 1)  # one run after the other, each of which is killed
SECONDS = max(120.0, MESSAGES / 1_000)


@pytest.mark.slow
def test_kills_other_numbers_of_workers_and_reruns_change_nothing_about_many_messages(deploy: Deployments) -> None:
    log = MessageLog(deploy.stack.kafka.bootstrap, PARTITIONS, count=MESSAGES // len(stored_types()), seed=11)
    flow = deploy(partitions=PARTITIONS, name="sent", messages=log.section)
    part, sent = log.count // len(WORKERS) + 1, 0
    for number, workers in enumerate(WORKERS):
        running = flow.start(flow="persist", workers=workers)
        log.produce(slice(number * part, (number + 1) * part))
        sent += sum(len(records[number * part : (number + 1) * part]) for records in log.sent.values())
        until(lambda: flow.progress > sent - part or running.poll() is not None, "most of a part", SECONDS)  # noqa: B023
        assert running.poll() is None, flow.said.read_text(errors="replace")[-5_000:]
        kill(running)
    log.produce(slice(len(WORKERS) * part, None))
    flow.run(flow="persist", workers=2)
    assert_whole(flow, log)
    before = row_versions(flow.database, log.kinds)
    flow.run(flow="persist")
    shutil.rmtree(flow.home)  # without saved state it reads everything again
    flow.run(flow="persist", workers=2)
    assert row_versions(flow.database, log.kinds) == before
    assert_whole(flow, log)
