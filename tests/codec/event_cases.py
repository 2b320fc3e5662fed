"""Events that break the contract in one way each, as changes to a tick, and events that just keep it."""

from __future__ import annotations

from typing import Any

from tests.codec.stored_records import BAR, HEARTBEAT

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"kind": None}, "kind is missing"),
    ({"kind": "quote"}, "kind is none of tick, bar, heartbeat"),
    ({"kind": "Tick"}, "kind is none of tick, bar, heartbeat"),
    *(({name: None}, f"{name} is missing") for name in ("provider", "symbol", "c", "v", "src_ts")),
    *((BAR | {name: None}, f"{name} is missing") for name in ("o", "h", "l", "interval")),
    *(
        ({name: text}, f"{name} is empty, longer than 256 bytes or holds a NUL")
        for name in ("provider", "symbol", "event_id")
        for text in ("", "S" * 257, "é" * 129, "S" * 10_000, "S\0", "\0")
    ),
    *(
        ({"src_ts": text}, "src_ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds")
        for text in (
            "2025-10-24T14:02:01",
            "2025-10-24",
            "yesterday",
            "",
            "2025-13-24T14:02:01Z",
            "2999-01-01T00:00:00Z",
        )
    ),
    ({"src_ts": "2262-01-01T00:00:00Z"}, "src_ts lies within a year of the end of 64-bit nanoseconds"),
    ({"src_ts": "1677-12-31T00:00:00Z"}, "src_ts lies within a year of the end of 64-bit nanoseconds"),
    (
        {"src_ts": "2262-04-11T23:46:16.854775808-00:01"},
        "src_ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds",
    ),
    *(({"c": number}, "c is not a finite number of at most 1e15") for number in (1.0000001e15, -1.0000001e15, 1e300)),
    *((BAR | {name: 2e15}, f"{name} is not a finite number of at most 1e15") for name in "ohl"),
    (BAR | {"o": -2e15}, "o is not a finite number of at most 1e15"),
    ({"v": 2e18}, "v is not a finite number of at most 1e18"),
    ({"v": -1e-300}, "v is negative"),
    ({"v": -1}, "v is negative"),
    (BAR | {"l": 425.11}, "l is above o, c or h"),
    (BAR | {"l": 425.16, "o": 425.17}, "l is above o, c or h"),
    (BAR | {"h": 425.14}, "h is below o or c"),
    (BAR | {"h": 425.16, "o": 425.17}, "h is below o or c"),
    *(
        (BAR | {"interval": text}, "interval does not divide the window of 2000 ms")
        for text in ("3s", "1500ms", "4s", "1m", "soon", "", "0s", "2", "999999999d", "١s")  # noqa: RUF001
    ),
]

GOOD: list[dict[str, Any]] = [
    {"c": 0},
    {"c": -0.0},
    {"c": -37.63, "v": 0},
    {"c": 1e15, "v": 1e18},
    {"c": -1e15},
    {"c": 5e-324, "v": 5e-324},
    {"c": 425, "v": 1200, "seq": 2**63 - 1},
    {"seq": -(2**63)},
    {"symbol": "S" * 256},
    {"symbol": "é" * 128},
    {"symbol": "BRK|B \\ 株 😀"},
    {"event_id": None},
    {"o": None, "h": None, "l": None},
    {"o": 1.0, "h": 1.0, "l": 2.0, "interval": "soon"},  # nobody reads these fields of a tick
    {"symbol": "S" * 65, "o": 1.0, "h": 1.0, "l": 2.0},
    {"interval": "any", "ingest_ts": 5, "more": {"nested": [1, {}]}},
    {"ver": 1},
    {"src_ts": "2025-10-24T14:02:06Z"},  # max_future_ms ahead, and no more
    {"src_ts": "2025-10-24T16:02:01.000000001+02:00"},
    {"src_ts": "1970-01-01T00:00:00Z"},
    {"src_ts": "1680-01-01T00:00:00Z"},
    *(BAR | {"interval": text} for text in ("1s", "2s", "500ms", "1ms", "2000ms", "250ms")),
    BAR | dict.fromkeys("ohlc", -1.5),
    BAR | {"event_id": None, "v": 0.0},
    HEARTBEAT,
    HEARTBEAT | {"symbol": None, "c": None, "v": None},
]
