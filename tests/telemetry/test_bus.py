"""Lines about single messages: by the names of the bus contract, for who asks for them, and never with a payload."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from contracts.record import Headers
from mdp.runtime.log_format import LogFormat
from telemetry.bus import note_produced
from telemetry.metrics import PRODUCED

FIELDS = ("message_id", "trace_id", "topic", "producer", "result", "latency_ms")
HEADERS: Headers = [
    ("message_id", b"018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2"),
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("dlq_error", b"\x1b[2J"),
]


def written(caplog: pytest.LogCaptureFixture, level: int) -> list[dict[str, Any]]:
    caplog.set_level(level, "mdp.bus")
    note_produced("topic", "mdp@here", [HEADERS, []], "dlq", 12.345)
    return [json.loads(LogFormat("json").format(record)) for record in caplog.records]


def test_a_line_has_the_fields_of_the_bus_contract(caplog: pytest.LogCaptureFixture) -> None:
    whole, bare = written(caplog, logging.DEBUG)
    assert [whole[name] for name in FIELDS] == [
        "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "topic",
        "mdp@here",
        "dlq",
        12.3,
    ]
    assert (bare["message_id"], bare["trace_id"]) == (None, None)


def test_without_debugging_there_are_no_lines_and_messages_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    counter = PRODUCED.labels("topic", "mdp@here")
    before = counter._value.get()
    assert written(caplog, logging.INFO) == []
    assert counter._value.get() == before + 2


@pytest.mark.parametrize("form", ["console", "json"])
def test_of_bytes_a_line_says_how_many(form: Any) -> None:
    record = logging.makeLogRecord({"msg": "refused", "payload": b"secret", "levelname": "INFO", "name": "mdp"})
    assert "secret" not in LogFormat(form).format(record)
