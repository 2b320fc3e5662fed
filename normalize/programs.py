"""Mappings that are programs: of jq, or functions in Python.

Both return, for a raw message, what a message of the type is to hold, several of them, or nothing where it holds none:

    {"event_time": "2025-10-28T07:14:29.312Z", "sequence": 71, "event_id": "a-71", "fields": {"symbol": "SPY", …}}

`sequence` and `event_id` may be left out. `event_time` may be nanoseconds since the epoch. jq reads numbers as
floats: whole ones keep 17 digits.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from contracts.errors import first_line
from contracts.message import MessageType
from contracts.record import Buffer
from contracts.suggestions import did_you_mean
from normalize import values
from normalize.paths import MappingError
from normalize.rows import Columns

_KEYS: Final = ("event_time", "sequence", "event_id", "fields")

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_decode_lines: Final = msgspec.json.Decoder().decode_lines
_in_range: Final = values.nanoseconds("ns")


class ProgramMapper:
    """Maps by a program, which takes the bytes of a raw message and returns all results."""

    def __init__(self, program: Callable[[Buffer], list[Any]], kind: MessageType) -> None:
        self.read: Final = program
        self.kind: Final = kind

    def columns(self, found: list[Any]) -> Columns:
        columns = Columns([], [], [], [])
        for at, result in enumerate(found):
            try:
                fields, time, sequence, own_id = _parts(result)
            except ValueError as error:
                fields, time, sequence, own_id = {}, None, None, None
                columns.errors[at] = str(error)
            columns.fields.append(fields)
            columns.times.append(time)
            columns.sequences.append(sequence)
            columns.own_ids.append(own_id)
        return columns


def by_jq(program: str, kind: MessageType) -> ProgramMapper:
    """A mapper by a program of jq.

    Raises:
        MappingError: it is not valid.
    """
    import jq  # noqa: PLC0415 - few mappings need it

    try:
        compiled = jq.compile(program)
    except ValueError as error:
        raise MappingError(f"jq is not a valid program: {first_line(error)}") from None

    def run(raw: Buffer) -> list[Any]:
        _decode(raw)  # jq reads more than JSON, such as NaN, or several messages in one text
        return _flat(_decode_lines(compiled.input_text(bytes(raw).decode()).text()))

    return ProgramMapper(run, kind)


def by_function(place: str, kind: MessageType) -> ProgramMapper:
    """A mapper by a function from the decoded message, `module:function`.

    Raises:
        MappingError: there is no such function, or it cannot be imported.
    """
    module, _, name = place.partition(":")
    if not (module and name):
        raise MappingError(f"python: {place!r}: write it as module:function")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise MappingError(f"python: cannot import {place}: {first_line(error)}") from None
    if not callable(function):
        raise MappingError(f"python: {place} is no function")

    def run(raw: Buffer) -> list[Any]:
        message = _decode(raw)
        try:
            return _flat([_decode(_encode(function(message)))])  # as JSON has it: times as texts, tuples as lists
        except Exception as error:  # of somebody else's code, for one message: others may succeed
            raise ValueError(f"{place}: {type(error).__name__}: {first_line(error)}") from error

    return ProgramMapper(run, kind)


def _flat(results: list[Any]) -> list[Any]:
    """Every result by itself; a program may return lists of them, and null for none."""
    flat: list[Any] = []
    for result in results:
        flat += result if isinstance(result, list) else [result]
    return [result for result in flat if result is not None]


def _parts(result: Any) -> tuple[dict[str, Any], Any, int | None, Any]:
    """Fields, time, sequence and own id. Raises ValueError: they are not what a program is to return."""
    if not isinstance(result, dict):
        raise ValueError(f"the program returned {type(result).__name__}, not an object")
    unknown = next((key for key in result if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"the program returned {str(unknown)[:100]!r}{did_you_mean(str(unknown), _KEYS)}")
    fields, time = result.get("fields"), result.get("event_time")
    if not isinstance(fields, dict):
        raise ValueError("the program returned no fields")
    return fields, _checked("event_time", _time, time), *_own(result)


def _own(result: dict[str, Any]) -> tuple[int | None, Any]:
    return _checked("sequence", values.whole, result.get("sequence")), values.text(result.get("event_id"))


def _checked(name: str, convert: values.Convert, value: Any) -> Any:
    try:
        return convert(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _time(value: Any) -> Any:
    return _in_range(value) if type(value) is int else value
