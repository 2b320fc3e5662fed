"""Fixes of refused events before they are sent again: by a jq expression, or by an installed Python function."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Final

import msgspec

from codec import arrow_events
from contracts.errors import MdpError
from contracts.record import ARROW, MSGPACK, is_arrow
from contracts.timestamps import format_timestamps

ENTRY_POINTS: Final = "mdp.fixes"

Event = dict[str, Any]
Fix = Callable[[bytes], bytes | None]
"""Maps the JSON text of an event to that of the fixed event; None leaves the record in the DLQ.

Raises:
    ValueError: the record cannot be fixed.
"""


class FixError(MdpError):
    """The fix is invalid; one line says why."""


def by_jq(expression: str) -> Fix:
    """Returns a fix by a jq program; no result leaves the event alone. Numbers that it does not change stay exact.

    Raises:
        FixError: it is not a valid jq program.
    """
    import jq  # noqa: PLC0415 - few redrives need it

    try:
        program, identity = jq.compile(expression), jq.compile(".")
    except ValueError as error:
        raise FixError(f"--fix is not a valid jq program: {_first_line(error)}") from None

    def fix(text: bytes) -> bytes | None:
        event = text.decode()
        result = program.input_text(event).text()
        if not result:
            return None
        if "\n" in result:  # inside a string it would be escaped
            raise ValueError("the fix returned more than one result")
        return _with_exact_numbers(_event(result), text, identity.input_text(event).text())

    return fix


def _with_exact_numbers(fixed: Event, text: bytes, as_jq_reads: str) -> bytes:
    """Restores fields that jq has only rounded, as it reads all numbers as doubles."""
    try:
        exact = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        rounded = _event(as_jq_reads)
    except ValueError:  # jq reads more than JSON, such as NaN
        return msgspec.json.encode(fixed)
    kept = {name: exact[name] for name, value in fixed.items() if name in exact and _same(value, rounded[name])}
    return msgspec.json.encode(fixed | kept)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)  # in Python, True == 1


def _event(text: str | bytes) -> Event:
    event = msgspec.json.decode(text)
    if not isinstance(event, dict):
        raise ValueError("the event is not a JSON object")
    return event


def by_entry_point(name: str) -> Fix:
    """Returns a fix by an installed function from a dict to a dict or None.

    Raises:
        FixError: no such function is installed, or it cannot be imported.
    """
    found = {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        raise FixError(f"--fix-with {name}: no such fix is installed; known: {', '.join(sorted(found)) or 'none'}")
    try:
        function: Callable[[Event], Event | None] = found[name].load()
    except (ImportError, AttributeError) as error:
        raise FixError(f"--fix-with {name}: cannot import {found[name].value}: {error}") from error

    def fix(text: bytes) -> bytes | None:
        try:
            fixed = function(_event(text))
            return None if fixed is None else msgspec.json.encode(fixed)
        except Exception as error:  # for one record: others may succeed
            raise ValueError(f"{type(error).__name__}: {_first_line(error)}") from error

    return fix


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def as_json(payload: bytes | None, content_type: str | None) -> bytes:
    """The JSON text of a refused event of any encoding; text with content type JSON is returned unchanged.

    Raises:
        ValueError: it is empty, or cannot be decoded.
    """
    if not payload:
        raise ValueError("it contains no event")
    if is_arrow(payload) or content_type == ARROW:
        return msgspec.json.encode(_arrow_row(payload))
    if content_type == MSGPACK and payload[:1] != b"{":
        return msgspec.json.encode(msgspec.msgpack.decode(payload))
    return payload


def _arrow_row(payload: bytes) -> Event:
    rows = arrow_events.frame(arrow_events.read(payload))
    if rows.height != 1:
        raise ValueError(f"the Arrow stream has {rows.height} rows")
    times = rows.with_columns(src_ts=format_timestamps(rows["src_ts"]).fill_null(rows["src_text"]))
    row = times.drop("src_text", "flaw").row(0, named=True)
    return {name: value for name, value in row.items() if value is not None}
