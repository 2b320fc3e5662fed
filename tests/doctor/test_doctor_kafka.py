import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from flows.config_file import load
from mdp.doctor import clocks, kafka
from mdp.doctor.site import Site
from mdp.ops.topics import find_file
from tests.doctor.doctor_site import PARTITIONS, Send, said, tick, topics_tree, write
from tests.harness import until
from tests.open_transaction import opened
from transports.kafka import open_transactions


@pytest.fixture(autouse=True)
def _reached(site: Site) -> None:
    assert not said(kafka.reach, site)


def expect(site: Site, **changes: object) -> None:
    """Writes another topics.yaml than the one by which the topics were made."""
    write(find_file(site.config), topics_tree(site.known_cluster.topics.keys() & set(names(site)), **changes))


def names(site: Site) -> list[str]:
    bus = site.settings.bus.kafka
    return [
        bus.topic,
        bus.signals_topic,
        bus.bars_topic,
        bus.dlq_topic,
        bus.late_topic,
        bus.replay_topic,
        bus.control_topic,
    ]


def test_topics_that_differ_are_told_with_what_is_to_be_done(site: Site) -> None:
    events, bars, signals = names(site)[0], site.settings.bus.kafka.bars_topic, site.settings.bus.kafka.signals_topic
    changes = {
        events: {"config": {"retention.ms": 3_600_000}},
        bars: {"partitions": 3},
        signals: {"config": {"message.timestamp.type": "CreateTime", "cleanup.policy": "compact"}},
    }
    expect(site, **changes)
    found = {finding.text: finding.remedy for finding in said(kafka.topics, site)}
    assert found.keys() == {
        f"{events}: retention.ms is 86400000, not 3600000",
        f"{bars}: partitions is 2, not 3",
        f"{signals}: message.timestamp.type is LogAppendTime, not CreateTime",
        f"{signals}: cleanup.policy is delete, not compact",
    }
    assert "kafka-topics.sh" in found[f"{bars}: partitions is 2, not 3"]
    assert "kafka-configs.sh" in found[f"{events}: retention.ms is 86400000, not 3600000"]


def test_events_that_bear_the_time_of_their_producer_are_warned_of(site: Site) -> None:
    events = names(site)[0]
    entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, events, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": site.settings.bus.kafka.brokers})
    admin.incremental_alter_configs([resource])[resource].result(30)
    expect(site, **{events: {"config": {"message.timestamp.type": "CreateTime"}}})
    (found,) = said(kafka.topics, site)
    assert found.text.startswith(f"{events}: message.timestamp.type is CreateTime: one event from the future")
    assert "LogAppendTime" in found.remedy


@pytest.mark.parametrize(
    ("drift", "tool"),
    [
        ("partitions is 2, not 3", "kafka-topics.sh"),
        ("2 partitions are fewer than the 4 of events", "kafka-topics.sh"),
        ("replication is 1, not 3", "kafka-reassign-partitions.sh"),
        ("cleanup.policy is delete, not compact", "kafka-configs.sh"),
    ],
)
def test_each_difference_has_the_tool_that_can_change_it(drift: str, tool: str) -> None:
    assert tool in kafka._topic_remedy(False, drift, Path("topics.yaml"))


def test_events_without_a_topic_are_told_once_and_the_rest_is_unknown(site: Site) -> None:
    site.settings = load(site.config, ["bus.kafka.topic=nowhere"])
    [finding] = said(kafka.topics, site)
    assert finding.text.startswith("nowhere: does not exist")
    for check in (kafka.partitions, kafka.events):
        [left] = check(site)
        assert (left.level, left.text) == ("unknown", "cannot be checked without nowhere")


def test_a_topic_that_is_missing_is_told_and_not_made(site: Site, admin: AdminClient) -> None:
    gone = site.settings.bus.kafka.late_topic
    admin.delete_topics([gone])[gone].result(30)
    while gone in admin.list_topics(timeout=10).topics:
        pass
    for _ in range(2):
        list(kafka.reach(site))
        [finding] = said(kafka.topics, site)
        assert (finding.text, finding.remedy) == (f"{gone}: does not exist", "run `mdp topics apply`")
    assert gone not in admin.list_topics(timeout=10).topics


def test_a_topic_that_no_file_would_make_is_to_be_listed_first(site: Site) -> None:
    site.settings = load(site.config, ["bus.kafka.bars_topic=nowhere"])
    [finding] = said(kafka.topics, site)
    assert finding.text.startswith("nowhere: does not exist")
    assert finding.remedy == f"list it in {find_file(site.config)}, and run `mdp topics apply`"


@pytest.mark.parametrize(("workers", "level"), [(1, "ok"), (PARTITIONS, "ok"), (PARTITIONS + 1, "wrong")])
def test_each_worker_needs_a_partition(site: Site, workers: int, level: str) -> None:
    site.workers = workers
    [finding] = kafka.partitions(site)
    assert finding.level == level
    assert level == "ok" or "1 would have nothing to do" in finding.text


def test_workers_that_get_different_shares_are_told(site: Site, admin: AdminClient) -> None:
    from confluent_kafka.cimpl import NewPartitions

    topic = site.settings.bus.kafka.topic
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(30)
    while len(admin.list_topics(topic, timeout=10).topics[topic].partitions) < 5:
        pass
    list(kafka.reach(site))
    site.workers = 2
    [finding] = kafka.partitions(site)
    assert (finding.level, finding.text.endswith("some have 2, others one more")) == ("wrong", True)


def test_a_symbol_in_two_partitions_is_named(site: Site, send: Send) -> None:
    others = [(0, tick(f"S{number}")) for number in range(5)]
    send([*others, (0, tick("AAPL")), (1, tick("AAPL")), (1, tick("SPY")), (0, tick("SPY", provider="another"))])
    assert not said(kafka.events, site)
    [finding] = said(kafka.keys, site)
    assert finding.text.endswith("whose bars conflict: AAPL of feed in 0, 1")


def test_only_the_newest_records_count(site: Site, send: Send) -> None:
    send([(0, tick("AAPL")), *[(partition, tick(f"S{partition}")) for partition in (0, 1) for _ in range(10)]])
    send([(1, tick("AAPL"))])
    site.sample = 10
    list(kafka.events(site))
    assert not said(kafka.keys, site)


def test_heartbeats_have_no_symbol(site: Site, send: Send) -> None:
    beat = b'{"ver":1,"provider":"feed","kind":"heartbeat","src_ts":"2025-10-24T14:00:00Z"}'
    send([(0, beat), (1, beat)])
    assert not said(kafka.events, site)
    assert not said(kafka.keys, site)


def test_events_that_are_refused_are_counted_by_reason(site: Site, send: Send) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    send([(0, tick("AAPL")), (0, b"no event"), (0, tick("AAPL", at=ahead)), (1, tick("SPY", at=ahead))])
    [finding] = said(kafka.events, site)
    assert finding.text == "1 of the newest were read, and 75% refused: 2 future, 1 undecodable"


def test_a_transaction_that_stays_open_is_told_with_the_command_that_ends_it(
    site: Site, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_transactions, "LONG_SECONDS", 0.5)
    bus = site.settings.bus.kafka
    assert not said(kafka.transactions, site)
    send([(1, tick("AAPL"))])
    producer = opened(bus.brokers, bus.topic, [tick("AAPL")], partition=1)
    [finding] = said(kafka.transactions, site)
    assert finding.text.startswith(
        f"{bus.topic}[1]: a transaction stays open at offset 1, and holds back the 1 records"
    )
    assert f"abort --topic {bus.topic} --partition 1 --start-offset 1" in finding.remedy
    producer.abort_transaction(30)
    until(lambda: not said(kafka.transactions, site), "the end of the transaction")


def test_the_clock_of_a_broker_is_seen_in_what_comes_just_now(
    site: Site, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    [finding] = kafka.clock(site)
    assert finding.text.startswith("not compared")
    stop = threading.Event()

    def feed() -> None:
        while not stop.wait(0.05):
            send([(0, tick("AAPL"))])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        [finding] = kafka.clock(site)
        assert finding.text == "the broker's clock is within 1 s of this machine's"
        monkeypatch.setattr(clocks, "TOLERANCE", -1.0)
        [finding] = kafka.clock(site)
        assert finding.level == "wrong"
    finally:
        stop.set()
        feeder.join()


@pytest.mark.parametrize(
    ("there", "seconds"), [(99.0, -1.0), (100.0, 0.0), (100.1, 0.0), (100.2, 0.0), (102.2, 2.0), (90.0, -10.0)]
)
def test_a_clock_is_off_by_no_less_than_what_the_way_there_and_back_allows(there: float, seconds: float) -> None:
    assert clocks.ahead(there, before=100.0, after=100.2) == pytest.approx(seconds)


def test_records_tell_a_clock_that_is_ahead_by_the_one_that_was_the_shortest_on_its_way() -> None:
    assert clocks.ahead_by_records([(105.0, 100.5), (106.0, 101.0), (107.0, 102.9)]) == pytest.approx(5.0)
    assert clocks.ahead_by_records([(95.0, 100.0), (96.0, 100.9)]) == pytest.approx(-4.9)
    assert clocks.ahead_by_records([]) == 0.0


@pytest.mark.parametrize(("seconds", "words"), [(3.04, "is 3.0 s ahead of"), (-2.0, "is 2.0 s behind")])
def test_clocks_that_are_apart_are_told_with_ntp_as_the_remedy(seconds: float, words: str) -> None:
    [finding] = clocks.verdict("the clock", seconds)
    assert (finding.level, "NTP" in finding.remedy, words in finding.text) == ("wrong", True, True)
