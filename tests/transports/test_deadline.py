"""Calls that do not return are given up on, and others end as they do by themselves."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from confluent_kafka import KafkaError, KafkaException

from transports.kafka import deadline
from transports.kafka.deadline import within


def test_a_call_that_does_not_return_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "_GRACE_SECONDS", 0.0)
    released = threading.Event()
    with pytest.raises(KafkaException) as raised:
        within(0.05, released.wait)
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT
    released.set()


def test_what_a_call_does_and_raises_is_what_it_does_by_itself() -> None:
    done: list[int] = []
    within(30.0, partial(done.append, 1))
    assert done == [1]

    def fail() -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED))

    with pytest.raises(KafkaException) as raised:
        within(30.0, fail)
    assert raised.value.args[0].code() == KafkaError._FENCED
