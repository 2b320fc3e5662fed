"""Ids of messages: UUIDv7 that follow from what a message is."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from contracts.message_ids import message_id, time_of

_times = st.integers(-(2**63), 2**63 - 1)
_keys = st.binary(max_size=40)


@given(_times, st.text(max_size=20), _keys)
def test_it_is_a_version_7_of_the_events_millisecond_and_the_same_every_time(
    time: int, schema: str, key: bytes
) -> None:
    found = message_id(time, schema, key)
    assert found == message_id(time, schema, key)
    parsed = uuid.UUID(found)
    assert (str(parsed), parsed.version, parsed.variant) == (found, 7, uuid.RFC_4122)
    assert parsed.int >> 80 == max(time // 1_000_000, 0)
    assert time_of(found) == max(time // 1_000_000, 0) * 1_000_000


def test_an_id_of_another_form_has_no_time() -> None:
    assert [time_of(text) for text in ("", "order 7", "0x1")] == [0, 0, 0]


def test_ids_are_in_the_order_of_time() -> None:
    times = [0, 10**6, 10**9, 1_761_314_520_000_000_000, 1_761_314_520_001_000_000, 2**63 - 1]
    ids = [message_id(time, "schema", b"key") for time in times]
    assert ids == sorted(ids)


def test_messages_that_differ_in_anything_have_other_ids() -> None:
    told_apart = [
        message_id(time, schema, key)
        for time in (0, 10**6)
        for schema in ("a", "b", "a.b")
        for key in (b"", b"a", b"\0a", *(b"%d" % number for number in range(2_000)))
    ]
    assert len(set(told_apart)) == len(told_apart)


def test_an_id_is_what_it_was_in_earlier_versions() -> None:
    """Or a replay after an upgrade would send what is known as something new."""
    assert message_id(1_761_314_522_000_000_000, "utp.signals.v1", b"feed|SPY|2s") == EARLIER


EARLIER = "019a1686-c390-708e-b055-916ffe0f63cd"
