"""The normalizer by plain Python: one message at a time, whole documents, exact decimals."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any

import msgspec

from contracts.envelope import ENVELOPE_V1, Envelope, Handling, Watermark
from contracts.message import MessageType
from contracts.message_ids import message_id
from contracts.registry import message_type
from contracts.timestamps import format_timestamp, parse_timestamp
from normalize.feed import Feed
from normalize.mapping import FieldConfig, MappingConfig

MOST_NS = (2**63 // 10**9 - 1) * 10**9
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

Place = tuple[int, str]  # number of a message in its raw message, and the reason why it is none, or ""


def reach(document: Any, path: str) -> Any:
    """The value at a path without quotes."""
    for part in path.removeprefix("^").replace("[", ".[").removeprefix(".").split("."):
        if part.startswith("["):
            place = int(part[1:-1])
            document = document[place] if isinstance(document, list) and place < len(document) else None
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document


def normalized(
    config: MappingConfig, feed: Feed, document: Any, ingest_ns: int, mark: tuple[str, int], trace: str | None
) -> list[tuple[Place, bytes | None]]:
    """What becomes of a document: an envelope for each message in it, or None with a reason."""
    items = [document] if config.each is None else reach(document, config.each)
    if not isinstance(items, list):
        return [((0, "mapping"), None)]
    return [_one(config, feed, document, item, number, ingest_ns, mark, trace) for number, item in enumerate(items)]


def _one(
    config: MappingConfig,
    feed: Feed,
    document: Any,
    item: Any,
    number: int,
    ingest_ns: int,
    mark: tuple[str, int],
    trace: str | None,
) -> tuple[Place, bytes | None]:
    def at(path: str) -> Any:
        return reach(document if path.startswith("^") else item, path)

    kind = message_type(config.type)
    assert config.event_time is not None
    try:
        fields = {name: _value(kind, name, one, at) for name, one in (config.fields or {}).items()}
        time = _time(at(config.event_time.path), config.event_time.unit)
        sequence = None if config.sequence is None else _whole(at(config.sequence))
    except ValueError:
        return (number, "mapping"), None
    own_id = None if config.event_id is None else at(config.event_id)
    own_id = str(own_id) if type(own_id) is int else own_id
    try:
        message = kind.decode(json.dumps({name: _number(kind, name, value) for name, value in fields.items()}).encode())
        time_ns = parse_timestamp(time) if isinstance(time, str) else time
        if own_id is not None and not (isinstance(own_id, str) and own_id and "\0" not in own_id):
            raise ValueError(own_id)
        if not isinstance(time_ns, int) or abs(time_ns) > MOST_NS:
            raise ValueError(time)
    except (ValueError, TypeError):
        return (number, "contract"), None
    return (number, ""), _envelope(kind, feed, message, time_ns, sequence, own_id, ingest_ns, mark, trace)


def _envelope(
    kind: MessageType,
    feed: Feed,
    message: msgspec.Struct,
    time_ns: int,
    sequence: int | None,
    own_id: str | None,
    ingest_ns: int,
    mark: tuple[str, int],
    trace: str | None,
) -> bytes:
    payload, time = kind.encode(message), format_timestamp(time_ns)
    checksum = f"sha256:{sha256(payload).hexdigest()}"
    subject = str(getattr(message, "symbol", ""))
    order = time if sequence is None else str(sequence)
    parts = [str(kind.event_type), feed.source_id, subject, order, checksum]
    joined = "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)
    dedupe_key = f"sha256:{sha256(joined.encode()).hexdigest()}"
    fqdn = "utp." + kind.id.replace("/", ".")
    return ENVELOPE_V1.encode(
        Envelope(
            envelope_version="1.0",
            event_id=own_id or message_id(time_ns, fqdn, dedupe_key.encode()),
            event_type=str(kind.event_type),
            source_id=feed.source_id,
            realm=feed.realm,
            region=feed.region,
            schema_ref=kind.schema_ref,
            sequence=sequence,
            event_time=time,
            ingest_time=format_timestamp(ingest_ns),
            watermark=Watermark(partition=mark[0], offset=mark[1]),
            checksum=checksum,
            payload=msgspec.Raw(payload),
            meta=None if trace is None else Handling(trace_id=trace),
        )
    )


def _value(kind: MessageType, name: str, config: FieldConfig, at: Any) -> Any:
    if config.path is None:
        return config.value
    value = at(config.path)
    if value is None:
        return None
    if config.values is not None:
        found = [meaning for word, meaning in config.values.items() if type(word) is type(value) and word == value]
        if not found:
            raise ValueError(value)
        return found[0]
    if config.scale is not None:
        return float(_exact(value) * Fraction(str(config.scale)))
    if config.unit not in (None, "iso"):
        return format_timestamp(_nanoseconds(value, str(config.unit)))
    field = next(field for field in kind.fields if field.name == name)
    return str(value) if type(value) is int and field.kind == "text" and not field.choices else value


def _number(kind: MessageType, name: str, value: Any) -> Any:
    """Numbers may be texts."""
    field = next(field for field in kind.fields if field.name == name)
    if field.kind != "number" or not isinstance(value, str):
        return value
    return float(value)


def _exact(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    try:
        return Fraction(Decimal(repr(value) if isinstance(value, float) else value))
    except (ArithmeticError, ValueError):  # of a text that is none, or says that it is infinite
        raise ValueError(value) from None


def _nanoseconds(value: Any, unit: str) -> int:
    time = int(_exact(value) * UNITS[unit])
    if abs(time) > MOST_NS:
        raise ValueError(value)
    return time


def _time(value: Any, unit: str) -> Any:
    return value if unit == "iso" or value is None else _nanoseconds(value, unit)


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    found = int(value)
    if not -(2**63) <= found < 2**63:
        raise ValueError(value)
    return found
