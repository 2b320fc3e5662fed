"""However a log is run, the same bits come out: tables, and the output topics in their order."""

import random
from collections import Counter

import pytest

from mdp.local import LocalStack
from tests.harness import Deployment, Deployments, assert_same, kill, until
from tests.market import FEATURES, PARTITIONS, RULES, market_topic


def another(deploy: Deployments, like: Deployment, name: str) -> Deployment:
    return deploy(like.events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name)


def assert_same_output(actual: Deployment, expected: Deployment) -> None:
    assert_same(actual.tables(), expected.tables())
    assert_same(actual.output(), expected.output())


def test_the_log_holds_what_makes_this_hard(reference: Deployment) -> None:
    outcomes = ("accepted", "amending", "duplicate", "late", "rejected")
    (sums,) = reference.query(f"SELECT {', '.join(f'sum({name})::bigint' for name in outcomes)} FROM progress")
    counts = dict(zip(outcomes, sums, strict=True))
    assert counts["accepted"] + counts["amending"] + counts["late"] + counts["duplicate"] > 200_000
    assert min(counts["amending"], counts["duplicate"]) > 2_000
    assert min(counts["late"], counts["rejected"]) > 100
    assert len(reference.records("late")) == counts["late"]
    assert len(reference.records("dlq")) == counts["rejected"]
    by_rule = dict(reference.query("SELECT name, count(*) FROM signals GROUP BY name"))
    assert by_rule.keys() == {rule["name"] for rule in RULES}
    assert min(by_rule.values()) > 20


def test_the_signals_topic_holds_every_signal_once(reference: Deployment) -> None:
    stored = {signal_id for (signal_id,) in reference.query("SELECT signal_id FROM signals")}
    sent = Counter(record.json["signal_id"] for record in reference.records("signals"))
    assert sent == Counter(stored)


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_cluster(deploy: Deployments, reference: Deployment, workers: int) -> None:
    cluster = another(deploy, reference, f"cluster-{workers}")
    cluster.run(workers=workers)
    assert_same_output(cluster, reference)


def test_smaller_batches(deploy: Deployments, reference: Deployment) -> None:
    smaller = another(deploy, reference, "smaller")
    smaller.run("micro_batch.max_batch_size=7777")
    assert_same_output(smaller, reference)


@pytest.mark.slow
def test_killed_again_and_again(deploy: Deployments, reference: Deployment) -> None:
    killed = another(deploy, reference, "killed")
    end = reference.progress
    chance = random.Random(20251024)
    for least in sorted(chance.uniform(0.05, 0.7) * end for _ in range(3)):
        worker = killed.start("run.until_end=true", "micro_batch.max_batch_size=2000")
        until(lambda: killed.progress > least or worker.poll() is not None, "progress")  # noqa: B023
        assert worker.poll() is None, killed.said.read_text()[-5_000:]
        kill(worker)
        assert killed.progress < end
    killed.run()
    assert_same_output(killed, reference)


@pytest.mark.slow
def test_a_batch_for_every_record(stack: LocalStack, deploy: Deployments) -> None:
    events = market_topic(stack.kafka.bootstrap, 240, symbols=6, rate=12)
    single, whole = (
        deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name) for name in ("single", "whole")
    )
    single.run("micro_batch.max_batch_size=1")
    whole.run()
    assert len(whole.tables()["signals"]) > 5
    assert_same_output(single, whole)
