"""What many messages get at once is what each gets by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codec.message_keys import checksums, idempotency_keys, message_ids, new_traces
from codec.output_headers import of_message, of_messages
from contracts.envelope import checksum
from contracts.ids import joined_text
from contracts.message_ids import message_id
from contracts.schema_names import SIGNAL
from contracts.trace_context import new_trace

WORDS = st.sampled_from(["SPY", "a|b\\", "é", ""]) | st.text(max_size=5)
MESSAGES = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), WORDS, WORDS, WORDS), max_size=20)


@given(st.lists(st.binary(max_size=300)))
def test_checksums_are_those_of_each(payloads: list[bytes]) -> None:
    assert checksums(payloads) == [checksum(payload) for payload in payloads]


@given(MESSAGES)
def test_keys_are_hashes_of_what_messages_that_say_the_same_have_in_common(
    messages: list[tuple[int, str, str, str]],
) -> None:
    subjects, orders, sums = ([message[1:][at] for message in messages] for at in range(3))
    found = idempotency_keys("trades.tick", "feed|1", subjects, orders, sums)
    assert found == [
        checksum(f"{joined_text('trades.tick', 'feed|1', subject)}|{order}|{of_payload}".encode())
        for subject, order, of_payload in zip(subjects, orders, sums, strict=True)
    ]


@given(MESSAGES)
def test_ids_and_traces_are_those_of_each(messages: list[tuple[int, str, str, str]]) -> None:
    times, keys = [message[0] for message in messages], [message[1] for message in messages]
    ids = message_ids(times, "utp.trades.v2", keys)
    assert ids == [message_id(time, "utp.trades.v2", key.encode()) for time, key in zip(times, keys, strict=True)]
    assert new_traces([one.encode() for one in ids]) == list(map(new_trace, ids))


@given(MESSAGES)
def test_headers_are_those_of_each(messages: list[tuple[int, str, str, str]]) -> None:
    times, keys, orders, sources = ([message[at] for message in messages] for at in range(4))
    ordered_by = [str(order).encode() for order in orders]
    found = of_messages(SIGNAL, times, keys, ordered_by, sources)  # type: ignore[arg-type]
    each = zip(times, keys, ordered_by, sources, strict=True)
    assert found == [of_message(SIGNAL, *message) for message in each]  # type: ignore[arg-type]
