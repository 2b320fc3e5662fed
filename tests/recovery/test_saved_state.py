"""State belongs to a config and to one run at a time; without it, everything is told again by the log."""

import json
import os
import re
import shutil
import signal
import sqlite3
from contextlib import closing
from functools import partial

import polars as pl
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.harness import SECONDS, Deployment, Deployments, assert_same, kill, produce_on_time, recreate_topic, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic, market_topic
from tests.plain_pickle import plain

COUNTED = "SELECT sum(accepted + amending + duplicate + late + rejected) FROM progress"
RUN = ("stream", "run", "--until-end")


@pytest.fixture(scope="module")
def market(deploy: Deployments) -> str:
    """The topic of a small market."""
    return market_topic(deploy.stack.kafka.bootstrap, 20_000, symbols=20)


@pytest.fixture
def flow(deploy: Deployments, market: str) -> Deployment:
    """One that has read all of the market."""
    made = deploy(market, partitions=PARTITIONS, rules=RULES, features=FEATURES)
    made.run()
    return made


def only_error(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, said
    assert "Traceback" not in said
    return lines[0]


def test_state_of_another_config_is_refused_by_name_until_it_is_reset(flow: Deployment) -> None:
    before = flow.tables()
    change = ("--set", "micro_batch.window_ms=1000", "--set", "micro_batch.allow_late_ms=700")
    code, said = flow.mdp(*RUN, *change)
    assert code == 2
    told = only_error(said)
    assert "micro_batch.window_ms was 2000 and is 1000; micro_batch.allow_late_ms was 500 and is 700" in told
    assert "--reset-state" in told
    assert "--name" in told
    assert_same(flow.tables(), before)

    assert flow.mdp(*RUN, *change, "--reset-state")[0] == 0
    assert {interval for (interval,) in flow.query('SELECT DISTINCT "interval" FROM bars_ohlcv')} == {"1s", "2s"}
    assert flow.mdp(*RUN, *change)[0] == 0


def test_what_is_saved_of_sources_steps_and_sinks_names_no_class(flow: Deployment) -> None:
    (part,) = (flow.home / "recovery").glob("*/part-*.sqlite3")
    with closing(sqlite3.connect(part)) as database:
        saved = database.execute("SELECT step_id, ser_change FROM snaps").fetchall()
    states = {(step.split(".")[1], type(plain(state)).__name__) for step, state in saved}
    assert states >= {("events", "tuple"), ("steps", "tuple"), ("kafka", "dict"), ("timescale", "dict")}


def test_features_are_part_of_the_state_and_its_format_is_too(flow: Deployment) -> None:
    code, said = flow.mdp(*RUN, "--set", "features.windows=[{name: vwap_10s, horizon: 10s}]", "--adapter", "none")
    assert (code, "features.windows was vwap_10s (vwap over 10s), ret_10s" in only_error(said)) == (2, True)
    shape = next((flow.home / "recovery").glob("*/shape.json"))
    saved = json.loads(shape.read_text())
    shape.write_text(json.dumps({**saved, "the format of saved state": 0}))
    told = only_error(flow.mdp(*RUN)[1])
    assert f"the format of saved state was 0 and is {saved['the format of saved state']}" in told


def test_the_snapshots_themselves_say_which_config_they_belong_to(flow: Deployment) -> None:
    """A file beside them could be lost, or there may be none: `python -m bytewax.run` keeps its own folder."""
    shape = next((flow.home / "recovery").glob("*/shape.json"))
    shape.write_text(shape.read_text().replace('"micro_batch.amend_ms": 10000', '"micro_batch.amend_ms": 9000'))
    before = flow.tables()
    code, said = flow.mdp(*RUN, "--set", "micro_batch.amend_ms=9000")
    assert (code, "micro_batch.amend_ms was 10000 and is 9000" in only_error(said)) == (2, True)
    assert_same(flow.tables(), before)


def test_a_lost_state_costs_time_and_no_data(flow: Deployment) -> None:
    rows, output = flow.row_versions(), flow.output()
    shutil.rmtree(flow.home / "recovery")
    flow.run("bus.kafka.start=latest")
    assert "has no saved state: reading it from its first record" in flow.said.read_text()
    assert_same(flow.row_versions(), rows)
    assert_same(flow.output(), output)


def test_a_reset_changes_no_output(flow: Deployment) -> None:
    rows, output = flow.row_versions(), flow.output()
    assert flow.mdp(*RUN, "--reset-state")[0] == 0
    assert_same(flow.row_versions(), rows)
    assert_same(flow.output(), output)


@pytest.mark.slow
def test_a_second_run_on_the_same_state_is_refused(deploy: Deployments) -> None:
    flow = deploy(partitions=1)
    worker = flow.start()
    until(lambda: flow.said.exists() and flow.connections(), "the start of the flow")
    os.kill(worker.pid, signal.SIGSTOP)  # stuck, but not dead
    code, said = flow.mdp("stream", "run")
    assert code == 2
    assert f"process {worker.pid} already runs this flow" in only_error(said)
    os.kill(worker.pid, signal.SIGCONT)
    kill(worker)
    assert flow.mdp(*RUN)[0] == 0


def test_a_crash_before_the_first_snapshot_leaves_out_nothing_wherever_the_flow_began(deploy: Deployments) -> None:
    kafka = deploy.stack.kafka.bootstrap
    events = empty_topic(kafka)
    latest = {"bus.kafka.start": "latest", "recovery.interval_s": "3600", "micro_batch.flush_timeout_ms": "3600000"}
    settings = [f"{key}={value}" for key, value in latest.items()]
    flow = deploy(events, partitions=PARTITIONS)
    worker = flow.start(*settings)
    until(partial(has_read_junk, flow), "its place at the end of the topic")
    produce_on_time(kafka, events, chunks(8_000, symbols=20), PARTITIONS)
    until(lambda: flow.query("SELECT true FROM bars_ohlcv LIMIT 1"), "some bars")
    kill(worker)
    flow.run(*settings)
    whole = deploy(events, partitions=PARTITIONS, name="whole")
    whole.run()
    assert flow.tables()["bars_ohlcv"] == whole.tables()["bars_ohlcv"]
    assert flow.progress == whole.progress


def send_junk(flow: Deployment) -> None:
    producer = Producer({"bootstrap.servers": flow.kafka})
    for partition in range(flow.partitions):
        producer.produce(flow.events, b"junk", partition=partition)
    assert producer.flush(30) == 0


def has_read_junk(flow: Deployment) -> bool:
    """Sends some to every partition, and says whether anything has been read of each."""
    send_junk(flow)
    return has_read_every_partition(flow)


def has_read_every_partition(flow: Deployment) -> bool:
    if flow.query("SELECT to_regclass('progress')") == [(None,)]:
        return False
    return flow.query("SELECT count(*) FROM progress") == [(flow.partitions,)]


class TestRecordsThatWereDeletedBeforeTheyWereRead:
    @pytest.fixture
    def behind(self, deploy: Deployments) -> Deployment:
        """It has read 1,000 events of one partition; of 1,000 more, the first 400 are gone."""
        flow = deploy(partitions=1, features=FEATURES)
        market = list(chunks(1_000, symbols=5))
        produce_on_time(flow.kafka, flow.events, market, 1)
        flow.run()
        produce_on_time(flow.kafka, flow.events, chunks(1_000, symbols=5, start=max(market[-1]["arrival"])), 1)
        place = TopicPartition(flow.events, 0, flow.progress + 400)
        admin = AdminClient({"bootstrap.servers": flow.kafka})  # which its futures do not keep alive
        admin.delete_records([place])[place].result(30)
        return flow

    def test_stop_the_flow_with_a_line_that_says_what_to_do(self, behind: Deployment) -> None:
        before = behind.tables()
        code, said = behind.mdp(*RUN)
        low = behind.progress + 400
        assert code == 2
        assert f"records {low - 400} to {low - 1} were deleted before they were read" in only_error(said)
        assert "bus.kafka.on_gap=continue" in only_error(said)
        assert_same(behind.tables(), before)

    def test_are_counted_and_left_out_if_the_config_says_so(self, behind: Deployment) -> None:
        ((counted,),) = behind.query(COUNTED)
        low = behind.progress + 400
        code, said = behind.mdp(*RUN, "--set", "bus.kafka.on_gap=continue")
        assert code == 0, said
        assert re.search(r"\[0\]: records \d+ to \d+ were deleted .* going on without them", said)
        assert behind.query(COUNTED) == [(counted + behind.progress - low,)]


@pytest.mark.parametrize("arguments", [(), ("--reset-state",)])
def test_a_topic_that_was_made_anew_is_refused(deploy: Deployments, arguments: tuple[str, ...]) -> None:
    flow = deploy(partitions=1)
    produce_on_time(flow.kafka, flow.events, chunks(100, symbols=5), 1)
    flow.run()
    recreate_topic(flow.kafka, flow.events, 1)
    produce_on_time(flow.kafka, flow.events, chunks(300, symbols=5), 1)  # past the offset that was saved
    before = flow.tables()
    code, said = flow.mdp(*RUN, *arguments)
    assert (code, "was deleted and recreated" in only_error(said)) == (2, True)
    assert_same(flow.tables(), before)
    assert flow.mdp(*RUN, "--name", "another")[0] == 0


def test_a_topic_that_is_made_anew_ends_the_flow_that_reads_it(deploy: Deployments) -> None:
    flow = deploy(partitions=1)
    produce_on_time(flow.kafka, flow.events, chunks(100, symbols=5), 1)
    worker = flow.command("stream", "run")
    until(lambda: flow.progress >= 100, "the first topic")
    recreate_topic(flow.kafka, flow.events, 1)
    produce_on_time(flow.kafka, flow.events, chunks(50, symbols=5), 1)
    assert worker.wait(SECONDS) == 2
    only_error(flow.said.read_text())


def renewed(flow: Deployment, admin: AdminClient) -> None:
    """Deletes the topic and makes it again before the flow has noticed."""
    admin.delete_topics([flow.events])[flow.events].result(30)

    def is_made() -> bool:
        failure = admin.create_topics([NewTopic(flow.events, 1, 1)])[flow.events].exception(30)
        return failure is None

    until(is_made, "the topic again")


def test_nothing_is_made_of_a_topic_that_took_the_place_of_the_one_that_was_read(deploy: Deployments) -> None:
    """Its records lie at the offsets that come next, so that the client reads on and says nothing."""
    flow = deploy(partitions=1, micro_batch={"flush_timeout_ms": 60_000})  # no heartbeats
    admin = AdminClient({"bootstrap.servers": flow.kafka})
    (market,) = chunks(300, symbols=5)
    produce_on_time(flow.kafka, flow.events, [market], 1)
    worker = flow.command("stream", "run")
    until(lambda: flow.progress >= market.height, "the first topic")
    before, output = flow.tables(), flow.output()
    renewed(flow, admin)
    others = market.with_columns(provider=pl.lit("other"))
    produce_on_time(flow.kafka, flow.events, [market, *[others.with_columns(event_id=None)] * 3], 1)
    assert worker.wait(SECONDS) == 2
    assert "was deleted and recreated" in only_error(flow.said.read_text())
    assert_same(flow.tables(), before)
    assert_same(flow.output(), output)


@pytest.mark.parametrize("damage", ["shape.json", "part-0.sqlite3"])
def test_damaged_state_is_named_and_can_be_reset(flow: Deployment, damage: str) -> None:
    (file,) = (flow.home / "recovery").glob(f"*/{damage}")
    file.write_bytes(b"\0" * 5_000)
    code, said = flow.mdp(*RUN)
    assert (code, "is damaged" in only_error(said), "--reset-state" in said) == (2, True, True)
    assert flow.mdp(*RUN, "--reset-state")[0] == 0
