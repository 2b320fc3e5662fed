"""Entries of a topic as lines: coloured text, or JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from rich.text import Text

from codec.output_records import DLQ_ERROR, DLQ_REASON, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC
from mdp.cli.output import number_text
from mdp.ops.tail import Entry
from telemetry.printable import printable, printable_json

_LONGEST_PAYLOAD: Final = 120
_LONGEST_VALUE: Final = 64
_LAST_MS: Final = 253_402_300_799_999  # of the year 9999

# The fields to show for each kind of record, in order, and the style of its label.
_EVENT: Final = ("o", "h", "l", "c", "v", "interval", "seq", "provider")
_BAR: Final = ("interval", "open", "high", "low", "close", "volume", "vwap", "trades", "revision", "provider")
_SIGNAL: Final = ("name", "value", "score", "adapter", "interval", "provider")
_STYLES: Final = {"tick": "green", "bar": "blue", "signal": "magenta", "heartbeat": "dim", "refused": "bold red"}


def json_line(entry: Entry) -> str:
    """One JSON object; a value that cannot be decoded is replaced by `payload`, in escaped ASCII."""
    fields: dict[str, Any] = {
        "topic": entry.topic,
        "partition": entry.partition,
        "offset": entry.offset,
        "row": entry.row,
        "timestamp": time_text(entry.timestamp_ms),
        "key": entry.key,
        "headers": entry.headers,
    }
    try:
        encoded = msgspec.json.encode({**fields, "value": entry.value, **_payload(entry)})
    except (TypeError, ValueError):  # MessagePack has values that JSON lacks
        encoded = msgspec.json.encode({**fields, "value": None, "payload": escaped(entry.payload)})
    return printable_json(encoded.decode())


def _payload(entry: Entry) -> dict[str, str]:
    return {"payload": escaped(entry.payload)} if entry.value is None and entry.payload is not None else {}


def line(entry: Entry) -> Text:
    """A line with time, kind, symbol, fields, and the position in the log."""
    value = entry.value if isinstance(entry.value, dict) else None
    place = f"[{entry.partition}]@{entry.offset}" + (f".{entry.row}" if entry.row else "")
    if DLQ_REASON in entry.headers:
        parts = _refused(entry)
    elif entry.payload is None:
        parts = [("tombstone", "bold red"), ("no value", "")]
    elif value is None:
        parts = [("unreadable", "bold red"), (shortened(entry.payload), "")]
    else:
        parts = _known(value)
    time = time_text(entry.timestamp_ms) if value is None or DLQ_REASON in entry.headers else _time_of(entry, value)
    text = Text(f"{time} ", style="dim")
    for content, style in parts:
        text.append(f" {printable(content)}", style=style or "not dim")
    return text.append(f"  {place}", style="dim")


def _known(value: dict[str, Any]) -> list[tuple[str, str]]:
    label, names = _kind(value)
    fields = [f"{name}={_short(value[name])}" for name in names if value.get(name) is not None]
    symbol = _short(value.get("symbol") or "")
    return [
        (f"{label:<9}", f"not dim {_STYLES.get(label, '')}"),
        (f"{symbol:<8}", "not dim bold"),
        (" ".join(fields), ""),
    ]


def _kind(value: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    if "window_start" in value:
        return "bar", _BAR
    if "name" in value and "value" in value:
        return "signal", _SIGNAL
    return _short(value.get("kind") or "?"), _EVENT


def _refused(entry: Entry) -> list[tuple[str, str]]:
    headers = entry.headers
    origin = f"{headers.get(SOURCE_TOPIC)}[{headers.get(SOURCE_PARTITION)}]@{headers.get(SOURCE_OFFSET)}"
    why = f"{headers[DLQ_REASON]}: {headers.get(DLQ_ERROR, '')}"
    return [
        (why, f"not dim {_STYLES['refused']}"),
        (f"from {origin}", ""),
        (shortened(entry.payload), "italic not dim"),
    ]


def _short(value: Any) -> str:
    text = number_text(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def shortened(payload: bytes | None) -> str:
    """The beginning of a payload in escaped ASCII."""
    if not payload:
        return "no value" if payload is None else "no bytes"
    return escaped(payload[:_LONGEST_PAYLOAD]) + ("…" if len(payload) > _LONGEST_PAYLOAD else "")


def escaped(payload: bytes | None) -> str:
    """The whole payload in escaped ASCII."""
    return (payload or b"").decode("ascii", "backslashreplace")


def _time_of(entry: Entry, value: dict[str, Any]) -> str:
    """The time in the record's value, else the record's timestamp."""
    time = next((value[name] for name in ("src_ts", "ts", "window_start") if isinstance(value.get(name), str)), None)
    return printable(time[:_LONGEST_VALUE]) if time else time_text(entry.timestamp_ms)


def time_text(milliseconds: int) -> str:
    """A time since the epoch as UTC text, to the millisecond, clamped to the calendar's range."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=min(max(milliseconds, 0), _LAST_MS))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
