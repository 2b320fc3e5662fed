import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.decode import Decoder
from contracts.event import EVENT_V1
from contracts.json_schema import json_schema
from contracts.record import Fetch, Headers, Records
from contracts.signal import SIGNAL_V1

EVENTS = jsonschema.Draft202012Validator(json_schema(EVENT_V1))
SIGNALS = jsonschema.Draft202012Validator(json_schema(SIGNAL_V1))
DECODER = Decoder(window_ns=60 * 10**9, max_future_ns=0)

TICK = {
    "ver": 1,
    "provider": "ibkr_primary",
    "symbol": "SPY",
    "kind": "tick",
    "src_ts": "2025-10-24T14:02:01.234567Z",
    "c": 425.15,
    "v": 1200,
}
BAR = {**TICK, "kind": "bar", "interval": "30s", "o": 425.1, "h": 425.2, "l": 425.0}
HEARTBEAT = {"ver": 1, "kind": "heartbeat", "provider": "ibkr_primary", "src_ts": "2025-10-24T14:02:01Z"}
SIGNAL = {
    "ver": 1,
    "provider": "ibkr_primary",
    "symbol": "SPY",
    "ts": "2025-10-24T14:02:02Z",
    "name": "vwap_cross_up",
    "value": 1.0,
    "score": 0.82,
    "meta": {"window": "1m", "price": 425.15},
}


class Value:
    """A record without a timestamp of its own."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def value(self) -> bytes:
        return self._value

    def key(self) -> None:
        return None

    def offset(self) -> int:
        return 0

    def timestamp(self) -> tuple[int, int]:
        return 0, -1

    def headers(self) -> Headers | None:
        return None


def pipeline_accepts(event: dict[str, Any]) -> bool:
    record = Value(msgspec.json.encode(event))
    return DECODER.decode(Fetch(topic="t", partition=0, next_offset=1, records=Records.of([record]))).events.height == 1


def changed(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**event, **changes}.items() if value is not ...}


GOOD = [
    TICK,
    BAR,
    HEARTBEAT,
    changed(TICK, ver=...),
    changed(TICK, c=-37.63, o=None, seq=183, event_id="a|b", ingest_ts="2025-10-24T14:02:01.3Z", venue={"id": 7}),
    changed(TICK, src_ts="2025-10-24T16:02:01.123456789+02:00", interval="whatever"),
    changed(TICK, c=1e15, v=0),
    changed(TICK, c=0, v=1e18),
    changed(TICK, symbol="é" * 128),
    changed(TICK, o="junk", h=1e300, l=[], interval=7),  # of a tick, nobody reads them
]
BAD = [
    {},
    changed(TICK, ver=2),
    changed(TICK, kind="rumour"),
    changed(TICK, provider=...),
    changed(TICK, symbol=None),
    changed(TICK, symbol=""),
    changed(TICK, symbol="X" * 257),
    changed(TICK, symbol="A\0B"),
    changed(TICK, event_id=""),
    changed(TICK, c=...),
    changed(TICK, c="425.15"),
    changed(TICK, c=True),
    changed(TICK, c=1.1e15),
    changed(BAR, h=1.1e15),
    changed(TICK, v=1.1e18),
    changed(BAR, l="low"),
    changed(TICK, v=-1),
    changed(TICK, seq=1.5),
    changed(TICK, seq=2**63),
    changed(TICK, src_ts="2025-10-24T14:02:01"),
    changed(TICK, src_ts="yesterday"),
    changed(TICK, src_ts=1761314521),
    changed(BAR, o=...),
    changed(BAR, interval=...),
    changed(BAR, interval="a minute"),
    changed(HEARTBEAT, provider=""),
]
BAD_BEYOND_JSON_SCHEMA = [
    changed(BAR, l=425.11),
    changed(BAR, h=425.11),
    changed(BAR, interval="7s"),
    changed(TICK, symbol="é" * 129),
    changed(TICK, src_ts="2025-02-30T14:02:01Z"),
]


@pytest.mark.parametrize("event", GOOD)
def test_a_good_event_is_good_for_the_schema_and_for_the_pipeline(event: dict[str, Any]) -> None:
    assert (EVENTS.is_valid(event), pipeline_accepts(event)) == (True, True)


@pytest.mark.parametrize("event", BAD)
def test_a_bad_event_is_bad_for_the_schema_and_for_the_pipeline(event: dict[str, Any]) -> None:
    assert (EVENTS.is_valid(event), pipeline_accepts(event)) == (False, False)


@pytest.mark.parametrize("event", BAD_BEYOND_JSON_SCHEMA)
def test_what_json_schema_cannot_say_is_found_by_the_pipeline(event: dict[str, Any]) -> None:
    assert (EVENTS.is_valid(event), pipeline_accepts(event)) == (True, False)


VALUES: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text()
) | st.sampled_from(["tick", "bar", "heartbeat", "1m", "2025-10-24T14:02:01Z"])


@given(st.sampled_from([TICK, BAR, HEARTBEAT]), st.dictionaries(st.sampled_from([*BAR, "seq", "event_id"]), VALUES))
def test_whatever_the_pipeline_accepts_is_valid(event: dict[str, Any], changes: dict[str, Any]) -> None:
    event = event | changes
    if pipeline_accepts(event):
        EVENTS.validate(event)


@pytest.mark.parametrize(
    "signal",
    [SIGNAL, changed(SIGNAL, meta=..., signal_id="x", interval="1m", adapter="rules"), changed(SIGNAL, meta=None)],
)
def test_a_good_signal_is_good_both_ways(signal: dict[str, Any]) -> None:
    SIGNALS.validate(signal)
    assert SIGNAL_V1.decode(json.dumps(signal).encode()).name == "vwap_cross_up"


@pytest.mark.parametrize(
    "signal",
    [
        changed(SIGNAL, ver=...),
        changed(SIGNAL, ver=2),
        changed(SIGNAL, symbol=""),
        changed(SIGNAL, name="a\0b"),
        changed(SIGNAL, provider="p" * 257),
        changed(SIGNAL, value=None),
        changed(SIGNAL, score="high"),
        changed(SIGNAL, ts="2025-10-24T14:02:02"),
        changed(SIGNAL, meta=[1]),
        changed(SIGNAL, price=425.15),
    ],
)
def test_a_bad_signal_is_bad_both_ways(signal: dict[str, Any]) -> None:
    assert not SIGNALS.is_valid(signal)
    with pytest.raises(ValueError, match=r".+"):
        SIGNAL_V1.decode(json.dumps(signal).encode())
