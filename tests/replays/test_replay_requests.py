"""What becomes of replay requests: served once, refused with a reason, and never in the way of others."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.golden import FOLDER, read_golden
from contracts.payloads.replay_request import REPLAY_REQUEST_V1
from contracts.payloads.replay_status import ReplayStatus
from contracts.record import Headers
from mdp.ops.replays.asked import asked
from mdp.ops.replays.control import ControlError, post
from mdp.ops.replays.desk import service
from mdp.ops.replays.orders import order_of
from mdp.ops.replays.run import Lost, Run
from tests.cli.cli_result import Topic
from tests.replays.replay_site import WINDOW, ReplaySite, tick

Site = Callable[..., ReplaySite]
OWN = ("replay_request_id", "replayed_from")


def filled(site: ReplaySite) -> ReplaySite:
    traced: Headers = [("trace", b"7"), ("replay_request_id", b"an earlier one")]
    site.send(
        site.source,
        (0, tick(0), None),
        (0, tick(2, seq=2), traced),
        (1, tick(2, "AAPL"), None),
        (0, tick(1, seq=1), None),
        (0, b"junk", None),
        (1, tick(3, "AAPL"), None),
        (0, tick(2, "MSFT"), None),
    )
    return site


def test_messages_of_the_window_keep_bytes_key_headers_partition_and_order(site: Site) -> None:
    own = filled(site())
    own.ask(request_id="gap-17")
    own.serve()
    before, after = own.sent(own.source), own.sent()
    assert [(one.partition, one.key, one.value) for one in after] == [
        (one.partition, one.key, one.value) for one in before if one.key in {b"k1", b"k2", b"k3", b"k6"}
    ]
    first = next(one for one in after if one.key == b"k1")
    assert first.headers == (
        ("trace", b"7"),
        ("replay_request_id", b"gap-17"),
        ("replayed_from", f"{own.source}[0]@1".encode()),
    )
    status = own.last("gap-17")
    assert (status["state"], status["read"], status["sent"], status["unreadable"]) == ("done", 7, 4, 1)
    assert all(offset == end for _, offset, end in status["left"])


@pytest.mark.parametrize(
    ("asked_for", "keys"),
    [
        ({"symbols": ["AAPL", "MSFT"]}, {b"k2", b"k6"}),
        ({"domain": "ticks", "version": "v1", "symbols": ["SPY"]}, {b"k1", b"k3"}),
        ({"start": None, "end": None, "keys": ["k0", "k5"]}, {b"k0", b"k5"}),
        ({"keys": ["k0", "k6"]}, {b"k6"}),
        ({"symbols": ["NONE"]}, set()),
    ],
)
def test_symbols_and_keys_choose(site: Site, asked_for: dict[str, Any], keys: set[bytes]) -> None:
    own = filled(site())
    own.ask(**asked_for)
    own.serve()
    assert {one.key for one in own.sent()} == keys


def test_asking_twice_is_asking_once(site: Site) -> None:
    own = filled(site())
    by_content = own.ask(reason="one")
    own.ask(reason="another", start="2025-10-24T16:03:00+02:00")  # says the same
    own.ask(request_id="named")
    own.serve()
    own.ask()
    own.ask(request_id="named")
    own.serve()
    ended = [(status["request_id"], status["sent"]) for status in own.statuses() if status["state"] == "done"]
    assert ended == [(by_content, 4), ("named", 4)]
    assert len(own.sent()) == 8


def test_an_id_belongs_to_one_request_unless_that_was_refused(site: Site) -> None:
    own = filled(site())
    own.ask(request_id="a", target=own.source)
    own.serve()
    own.ask(request_id="a", symbols=["AAPL"])
    own.serve()
    own.ask(request_id="a", symbols=["MSFT"])
    own.serve()
    ends = [(status["state"], status.get("reason", "")) for status in own.statuses() if status["state"] != "running"]
    assert [state for state, _ in ends] == ["refused", "done", "refused"]
    assert "the id a is that of another request" in ends[2][1]
    assert [one.key for one in own.sent()] == [b"k2"]


def test_what_was_refused_can_be_asked_again(site: Site, admin: AdminClient) -> None:
    name = f"late-{uuid.uuid4().hex}"
    own = filled(site(targets=[name]))
    request = own.ask(target=name)
    own.serve()
    assert f"cannot read topic {name}" in own.last(request)["reason"]
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
    assert own.ask(target=name) == request
    own.serve()
    assert (own.last(request)["state"], len(own.sent(name))) == ("done", 4)


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "unknown domain": ({"domain": "evnts"}, "did you mean events"),
    "another version": ({"version": "v2"}, "are of version v1, not v2"),
    "a subtopic of what has none": ({"subtopic": "XNAS.AAPL"}, "name the symbols or the keys"),
    "too long": ({"end": "2027-10-24T14:05:00Z"}, "the replay.max_span here"),
    "a topic of somebody else": ({"target": "__consumer_offsets"}, "is no target that is allowed here"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_request_that_may_not_be_served_is_refused_with_a_reason(site: Site, case: str) -> None:
    own, (request, reason) = filled(site()), HOSTILE[case]
    name = own.ask(**request)
    own.serve()
    assert own.last(name)["state"] == "refused"
    assert reason in own.last(name)["reason"]
    assert not own.sent()


@pytest.mark.parametrize("key", ["topic", "bars_topic", "signals_topic", "dlq_topic", "late_topic", "control_topic"])
def test_nothing_is_sent_into_a_topic_of_ours_even_if_the_config_lists_it(kafka: str, topic: Topic, key: str) -> None:
    own = filled(ReplaySite.create(kafka, topic))
    name = getattr(own.settings.bus.kafka, key)
    allowed = own.settings.replay.model_copy(update={"targets": (name,)})
    own.settings = own.settings.model_copy(update={"replay": allowed})
    request = own.ask(target=name)
    own.serve()
    assert own.last(request)["reason"].endswith("name another target")


def test_a_target_of_another_width_is_refused(site: Site, topic: Topic) -> None:
    narrow = topic(1)
    own = filled(site(targets=[narrow]))
    request = own.ask(target=narrow)
    own.serve()
    assert "has 1 partitions and" in own.last(request)["reason"]


GARBAGE = (
    b"",
    None,
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b"null",
    b'{"domain": "events"}',
    b'{"envelope_version": "1.0", "payload": ' * 20_000,
    b"{" + b" " * 1_100_000,
)


def enveloped(payload: dict[str, Any]) -> bytes:
    golden = read_golden((FOLDER / "control-replay_request-v1" / "minimal.json").read_bytes())
    return json.dumps({**golden.payload_json, "payload": payload}).encode()


def test_garbage_on_the_control_topic_is_answered_and_holds_up_nobody(kafka: str, topic: Topic) -> None:
    own = ReplaySite.create(kafka, topic)
    control = topic(1, config={"max.message.bytes": "4000000"})
    bus = own.settings.bus.kafka.model_copy(update={"control_topic": control})
    own.settings = own.settings.model_copy(update={"bus": own.settings.bus.model_copy(update={"kafka": bus})})
    filled(own)
    backwards = enveloped({"domain": "events", "reason": "r", "start": WINDOW["end"], "end": WINDOW["start"]})
    unknown = enveloped({"domain": "events", "reason": "r", **WINDOW, "everything": True})
    own.send(control, *((0, value, None) for value in (*GARBAGE, backwards, unknown)))
    request = own.ask()
    own.serve()
    assert own.last(request)["state"] == "done"
    refused = [status["reason"] for status in own.statuses() if status["state"] == "refused"]
    assert len(refused) == len(GARBAGE) - 1 + 2  # what is empty and what is nothing are the same
    assert any("end is not after start" in reason for reason in refused)
    assert any("unknown field" in reason for reason in refused)
    assert len(own.sent()) == 4


def test_a_request_as_others_write_it_is_understood(site: Site) -> None:
    golden = read_golden((FOLDER / "control-replay_request-v1" / "typical.json").read_bytes())
    own = site(max_span="1h")
    bars = own.settings.bus.kafka.bars_topic
    bar = json.loads((FOLDER / "bars-v1" / "typical.json").read_bytes())["payload_json"]
    inside = {**bar, "window_start": "2025-01-01T00:30:00Z", "window_end": "2025-01-01T00:30:02Z"}
    ordered: Headers = [("partition_key", b"XNAS.AAPL")]
    own.send(bars, (0, json.dumps(inside).encode(), ordered), (0, json.dumps(inside).encode(), None))
    own.send(bars, (1, json.dumps({**inside, "window_start": "2025-01-01T01:00:00Z"}).encode(), ordered))
    own.send(own.settings.bus.kafka.control_topic, (0, golden.value, golden.pairs))
    own.serve()
    status = own.last("backtest-2025-01-01")
    assert status["reason"].startswith("mdp.replay is no target that is allowed here")
    own.ask(domain="bars", subtopic="XNAS.AAPL", start="2025-01-01T00:00:00Z", end="2025-01-01T01:00:00Z")
    own.serve()
    assert [(one.partition, one.key) for one in own.sent()] == [(0, b"k0")]


def test_envelopes_of_a_domain_are_read_by_their_event_time(site: Site, topic: Topic) -> None:
    trades = topic(2)
    own = site(sources={"trades": trades})
    golden = read_golden((FOLDER / "trades-v2" / "typical.json").read_bytes()).payload_json
    times = ["2025-10-24T14:02:59.999999999Z", "2025-10-24T14:03:00Z", "2025-10-24T16:04:59.9+02:00", WINDOW["end"]]
    own.send(trades, *((0, json.dumps({**golden, "event_time": time}).encode(), None) for time in times))
    symbol = golden["payload"]["symbol"]
    own.ask(domain="trades", symbols=[symbol], version="v2")
    none = own.ask(domain="trades", symbols=[symbol], version="v9")
    own.serve()
    assert [one.key for one in own.sent()] == [b"k1", b"k2"]
    assert (own.last(none)["sent"], own.last(none)["unreadable"]) == (0, 4)


def test_as_many_are_open_as_the_config_says_and_as_many_records_are_sent(site: Site) -> None:
    own = filled(site(max_open=1, max_records=3))
    first, second = own.ask(), own.ask(symbols=["MSFT"])
    own.serve()
    assert "1 requests are open" in own.last(second)["reason"]
    assert (own.last(first)["state"], own.last(first)["sent"]) == ("failed", 3)  # the first partition
    assert "more than 3 records" in own.last(first)["reason"]
    assert [one.partition for one in own.sent()] == [0, 0, 0]
    raised = own.settings.replay.model_copy(update={"max_records": 4})
    own.settings = own.settings.model_copy(update={"replay": raised})
    own.ask()
    own.serve()
    assert (own.last(first)["state"], own.last(first)["sent"]) == ("done", 4)
    assert [one.partition for one in own.sent()] == [0, 0, 0, 1]


def deleted(own: ReplaySite, before: int) -> None:
    """Deletes the records of partition 0 of the source before an offset."""
    admin = AdminClient({"bootstrap.servers": own.settings.bus.kafka.brokers, "log_level": 0})
    place = TopicPartition(own.source, 0, before)
    admin.delete_records([place])[place].result(30)


def test_a_window_that_the_topic_no_longer_has_is_refused(site: Site) -> None:
    own = filled(site())
    deleted(own, 2)
    request = own.ask()
    everything = own.ask(start=None, end=None, keys=["k3"])
    own.serve()
    assert "[0] no longer has all of the window" in own.last(request)["reason"]
    assert own.last(everything)["state"] == "done"


def test_records_that_are_deleted_before_they_are_read_are_missed(site: Site) -> None:
    own = filled(site())
    request = asked(REPLAY_REQUEST_V1.decode(json.dumps({"domain": "events", "reason": "r", **WINDOW}).encode()))
    assert request.request is not None
    kafka, order = own.settings.bus.kafka, order_of(own.settings, request.request)
    status = ReplayStatus(
        request_id="a",
        request=request.digest,
        state="running",
        read=0,
        sent=0,
        unreadable=0,
        left=[(0, 0, 5), (1, 0, 2)],
    )
    deleted(own, 2)
    run = Run(kafka, order, status, 10)
    with pytest.raises(Lost, match="has deleted its records from 0 to 1"):
        run.next()
    run.close()


def test_a_control_topic_of_several_partitions_has_no_order(site: Site, topic: Topic) -> None:
    own = site()
    bus = own.settings.bus.kafka.model_copy(update={"control_topic": topic(2)})
    settings = own.settings.model_copy(update={"bus": own.settings.bus.model_copy(update={"kafka": bus})})
    with pytest.raises(ControlError, match="has 2 partitions, and requests have one order"):
        service(settings)
    with pytest.raises(ControlError):
        post(bus, REPLAY_REQUEST_V1.decode(b'{"domain": "events", "keys": ["a"], "reason": "r"}'), time.time_ns())
