"""`mdp stream persist`: what is stored is what was sent, each message once, whatever happens to the workers."""

from __future__ import annotations

import shutil
import uuid

import pytest

from tests.harness import Deployment, Deployments, kill, until
from tests.message_log import MessageLog, assert_whole, row_versions

PARTITIONS = 2


def deployed(deploy: Deployments, log: MessageLog) -> Deployment:
    name = f"persist-{uuid.uuid4().hex[:6]}"
    return deploy(partitions=PARTITIONS, name=name, messages=log.section, micro_batch={"max_batch_size": 500})


@pytest.fixture(scope="module")
def log(deploy: Deployments) -> MessageLog:
    log = MessageLog(deploy.stack.kafka.bootstrap, PARTITIONS, count=400)
    log.produce()
    return log


def test_what_is_stored_is_what_was_sent_and_a_rerun_changes_no_row(deploy: Deployments, log: MessageLog) -> None:
    persisted = deployed(deploy, log)
    persisted.run(flow="persist")
    assert_whole(persisted, log)
    assert {record.header("dlq_reason") for record in persisted.records("dlq")} == {"contract", "undecodable"}
    before = row_versions(persisted.database, log.kinds)
    persisted.run(flow="persist")
    shutil.rmtree(persisted.home)  # without saved state it reads everything again
    persisted.run(flow="persist")
    assert row_versions(persisted.database, log.kinds) == before
    assert_whole(persisted, log)


def test_progress_counts_what_was_valid_and_what_was_not(deploy: Deployments, log: MessageLog) -> None:
    persisted = deployed(deploy, log)
    persisted.run(flow="persist", workers=2)
    [(accepted, rejected)] = persisted.query("SELECT sum(accepted)::int, sum(rejected)::int FROM progress")
    assert (accepted + rejected, rejected) == (log.records, sum(log.refused().values()))
    assert persisted.progress == log.records
    assert_whole(persisted, log)


@pytest.mark.slow
def test_a_killed_worker_and_another_number_of_them_change_nothing(deploy: Deployments) -> None:
    log = MessageLog(deploy.stack.kafka.bootstrap, PARTITIONS, count=400, seed=2)
    persisted = deployed(deploy, log)
    half = log.count // 2
    log.produce(slice(half))
    worker = persisted.start(flow="persist", workers=2)
    until(lambda: persisted.progress > half or worker.poll() is not None, "some messages")
    log.produce(slice(half, None))
    kill(worker)
    persisted.run(flow="persist")
    assert_whole(persisted, log)
    persisted.run(flow="persist", workers=2)
    assert_whole(persisted, log)
