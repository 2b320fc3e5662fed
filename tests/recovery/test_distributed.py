"""A cluster whose processes have nothing in common but the network: no disk, no parent."""

import polars as pl
import pytest

from flows import stop
from mdp.local import ports
from mdp.runtime.cluster import USER_ERROR
from mdp.runtime.distributed import AddressError, addresses_of
from mdp.runtime.processes import AWAY
from tests.forked import Process
from tests.harness import SECONDS, Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(12_000, symbols=20)))
PART = MARKET.height // 3
STAY = ["--set", "micro_batch.flush_timeout_ms=3600000"]


def start(deployment: Deployment, machines: int, *options: str) -> list[Process]:
    """One process on each of so many machines, each with a disk of its own."""
    addresses = ",".join(f"{ports.HOST}:{port}" for port in ports.choose(range(12_000, 15_000), machines))
    return [
        deployment.command(
            *("stream", "run", "--process", str(number), "--addresses", addresses, *options),
            MDP_HOME=str(deployment.folder / f"machine-{number}"),
        )
        for number in range(machines)
    ]


def catch_up(deployment: Deployment, cluster: list[Process]) -> None:
    def is_there() -> bool:
        return deployment.has_caught_up() or any(process.poll() is not None for process in cluster)

    until(is_there, "a part of the market")
    assert [process.poll() for process in cluster] == [None] * len(cluster), deployment.said.read_text()[-5_000:]


@pytest.mark.slow
def test_machines_come_and_go_and_leave_what_one_worker_leaves(deploy: Deployments) -> None:
    events = empty_topic(deploy.stack.kafka.bootstrap)
    scaled, whole = (
        deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name) for name in ("apart", "whole")
    )
    for number, machines in enumerate((2, 3)):
        produce_on_time(scaled.kafka, events, [MARKET[number * PART : (number + 1) * PART]], PARTITIONS)
        cluster = start(scaled, machines, *STAY)
        catch_up(scaled, cluster)
        for process in cluster:
            process.terminate()
        scaled.ends_well(*cluster)
    produce_on_time(scaled.kafka, events, [MARKET[2 * PART :]], PARTITIONS)
    scaled.ends_well(*start(scaled, 1, "--until-end"))
    whole.run()
    assert_same(scaled.tables(), whole.tables())
    assert_same(scaled.output(), whole.output())
    runs = [status for (status,) in scaled.query("SELECT status FROM job_runs ORDER BY started_at")]
    assert runs == ["stopped", "stopped", "finished"]


@pytest.mark.slow
def test_a_machine_that_goes_ends_the_others_which_go_on_from_the_last_snapshot_when_it_is_back(
    deploy: Deployments,
) -> None:
    deployment = deploy(empty_topic(deploy.stack.kafka.bootstrap), partitions=PARTITIONS, name="dies")
    produce_on_time(deployment.kafka, deployment.events, [MARKET[:PART]], PARTITIONS)
    first, second = start(deployment, 2, *STAY)
    catch_up(deployment, [first, second])
    second.terminate()  # alone, it cannot end the flow: it gives up, which is to the others as if it had died
    assert first.wait(SECONDS) == AWAY, deployment.said.read_text()[-5_000:]
    assert second.wait(SECONDS) == stop.STUCK
    produce_on_time(deployment.kafka, deployment.events, [MARKET[PART : 2 * PART]], PARTITIONS)
    deployment.ends_well(*start(deployment, 2, "--until-end"))
    assert deployment.progress == 2 * PART


@pytest.mark.slow
def test_machines_that_wait_for_each_other_can_be_stopped(deploy: Deployments) -> None:
    deployment = deploy(name="waits")
    addresses = ",".join(f"{ports.HOST}:{port}" for port in ports.choose(range(12_000, 15_000), 3))
    command = ["stream", "run", "--addresses", addresses, "--process"]
    alone = deployment.command(*command, "1")
    until(lambda: "no run of waits-market-2s has begun" in deployment.said.read_text(), "that it looks for process 0")
    alone.terminate()
    assert alone.wait(SECONDS) == 0
    processes = [deployment.command(*command, number) for number in ("0", "2")]
    until(lambda: "error connecting to worker 1" in deployment.said.read_text(), "that one looks for another")
    for process in processes:
        process.terminate()
    assert [process.wait(SECONDS) for process in processes] == [0, 0]
    assert "stopped before all processes of the cluster had started" in deployment.said.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("micro_batch.window_ms=4000", "no run of differs-market-4s has begun"),
        ("micro_batch.amend_ms=4000", "it has another micro_batch: give all processes one config"),
    ],
)
def test_a_machine_with_another_config_is_not_let_into_the_cluster(
    deploy: Deployments, change: str, reason: str
) -> None:
    deployment = deploy(name="differs")
    addresses = ",".join(f"{ports.HOST}:{port}" for port in ports.choose(range(12_000, 15_000), 2))
    command = ["stream", "run", "--until-end", "--addresses", addresses, "--process"]
    first, second = (
        deployment.command(*command, *options, MDP_HOME=str(deployment.folder / f"machine-{options[0]}"))
        for options in (["0"], ["1", "--set", change])
    )
    until(lambda: reason in deployment.said.read_text(), "that the second one sees the difference")
    assert (first.poll(), second.poll()) == (None, None)
    second.terminate()
    assert second.wait(SECONDS) == 0
    deployment.ends_well(first, deployment.command(*command, "1", MDP_HOME=str(deployment.folder / "machine-1")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--process", "0"], "go together"),
        (["--addresses", "a:1"], "go together"),
        (["--process", "0", "--addresses", "a:1", "--workers", "2"], "without --workers"),
        (["--process", "2", "--addresses", "a:1,b:1"], "process 2 is not among the 2 addresses"),
        (["--process", "0", "--addresses", "a:1;b:1"], "separated by commas"),
        (["--process", "0", "--addresses", "127.0.0.1:1", "--from", "2025-10-24"], "on one machine"),
    ],
)
def test_processes_that_cannot_be_are_refused_in_one_line(deploy: Deployments, options: list[str], words: str) -> None:
    deployment = deploy.made[0] if deploy.made else deploy(name="refused")
    code, said = deployment.mdp("stream", "run", *options)
    assert (code, said.count("\n")) == (USER_ERROR, 1), said
    assert words in said


@pytest.mark.parametrize("text", ["", "a", "a:", ":1", "a:0", "a:65536", "a:1,", "a:1,a:1"])
def test_what_is_no_list_of_addresses_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        addresses_of(text)


def test_addresses_keep_their_order() -> None:
    assert addresses_of("b:2, a:1,[::1]:3") == ["b:2", "a:1", "[::1]:3"]
