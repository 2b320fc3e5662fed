"""A type of message: its declaration and name, and the validation beyond its struct."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import cleandoc
from typing import Any, Final

import msgspec

from contracts.fields import ContractError, Field, fields_of
from contracts.timestamps import parse_timestamp

SCHEMAS: Final = "utp://schemas/"  # what the references to types begin with

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*", re.ASCII)
_VERSION: Final = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)", re.ASCII)
_encode: Final = msgspec.json.Encoder().encode
NO_TIME: Final = "is not an ISO 8601 time with a zone, within 64-bit nanoseconds"


def _unchanged(schema: dict[str, Any]) -> dict[str, Any]:
    return schema


@dataclass(frozen=True, kw_only=True, eq=False)
class MessageType:
    """One type of message, from which its JSON Schema, columns, table, topic and page are derived.

    Rules about several fields belong in the struct's `__post_init__`, which raises ValueError.

    Attributes:
        name: one or more parts, such as trades or gex/levels.
        version: three numbers. The first is part of the reference; within it fields are only added, which raises the
            second.
        struct: the fields, with their bounds, units and meanings (`contracts.values`); its docstring says what it is.
        examples: messages as decoded JSON.
        event_type: the name of the stream of its envelopes; None: it is sent without an envelope.
        table: the table in which it is stored, if any.
        refine: completes the JSON Schema with rules that fields cannot express.
        one_of: fields of which a message has at least one; then the struct has no other rule.
    """

    name: str
    version: str
    struct: type[msgspec.Struct]
    examples: tuple[Mapping[str, Any], ...]
    event_type: str | None = None
    table: str | None = None
    refine: Callable[[dict[str, Any]], dict[str, Any]] = _unchanged
    one_of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ContractError(f"{self.name!r} is no name of a message type: write one such as trades or gex/levels")
        if not _VERSION.fullmatch(self.version):
            raise ContractError(f"{self.name}: {self.version!r} is no version: write one such as 1.0.0")
        if not self.description:
            raise ContractError(f"{self.id}: {self.struct.__name__} has no docstring: say what the message is")
        if not self.examples:
            raise ContractError(f"{self.id} has no example")
        if not self.fields:  # read now, so that what is wrong with them is found with the declaration
            raise ContractError(f"{self.id} has no fields")

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def id(self) -> str:
        """The name with the major version: trades/v2."""
        return f"{self.name}/v{self.major}"

    @property
    def schema_ref(self) -> str:
        """The reference in envelopes: utp://schemas/trades/v2."""
        return SCHEMAS + self.id

    @property
    def file_name(self) -> str:
        """The file name of its JSON Schema: trades-v2.json."""
        return f"{self.id.replace('/', '-')}.json"

    @property
    def description(self) -> str:
        """The description of the message, in paragraphs; empty if there is none."""
        told = self.struct.__doc__ or ""
        return "" if told.startswith(f"{self.struct.__name__}(") else cleandoc(told)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        return fields_of(self.struct)

    def topic(self, env: str, realm: str) -> str | None:
        """The topic of its envelopes in an environment and a realm; None where it has none."""
        return None if self.event_type is None else f"utp.{env}.{realm}.{self.event_type}"

    def decode(self, payload: bytes | memoryview) -> Any:
        """The message in a JSON text.

        Raises:
            msgspec.ValidationError: it is not one of this type.
            msgspec.DecodeError, UnicodeDecodeError: it is not JSON.
        """
        data = bytes(payload)
        try:
            message = self._decoder.decode(data)
            # A text of ASCII without escapes has as many bytes as characters, and no NUL.
            wrong = next(self._flaws(message, with_texts=not data.isascii() or b"\\" in data), None)
        except RecursionError:
            raise msgspec.DecodeError("JSON is nested too deeply") from None
        if wrong is not None:
            raise msgspec.ValidationError(wrong)
        return message

    def encode(self, message: msgspec.Struct) -> bytes:
        """The JSON text of a message."""
        return _encode(message)

    def flaw(self, message: msgspec.Struct) -> str | None:
        """The first error of a message that its struct accepts: a nonexistent time, a text too long in bytes."""
        return next(self._flaws(message, with_texts=True), None)

    def _flaws(self, message: msgspec.Struct, *, with_texts: bool) -> Iterator[str]:
        for field in self._worded if with_texts else self._timed:
            yield from _flaws_of(field, message, field.name)

    @cached_property
    def _timed(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.kind == "time")

    @cached_property
    def _worded(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if _has_words(field))

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[Any]:
        return msgspec.json.Decoder(self.struct)


def _has_words(field: Field) -> bool:
    is_text = field.kind == "text" and not field.choices
    return is_text or field.kind in ("time", "object") or any(map(_has_words, field.parts))


def _flaws(field: Field, value: Any, place: str) -> Iterator[str]:
    match field.kind:
        case "time":
            yield from () if _is_time(value) else (f"{place} {NO_TIME}",)
        case "text":
            most = field.bounds[1]
            if most is not None and len(value.encode("utf-8", "replace")) > most:
                yield f"{place} is longer than {most:.0f} bytes"
            yield from _nuls(value, place)
        case "object":
            yield from _nuls(value, place)
        case "list" | "tuple":
            for at, one in enumerate(value):
                yield from _flaws(field.parts[0], one, f"{place}[{at}]")
        case "struct":
            for part in field.parts:
                yield from _flaws_of(part, value, f"{place}.{part.name}")


def _flaws_of(field: Field, owner: msgspec.Struct, place: str) -> Iterator[str]:
    value = getattr(owner, field.name)
    if value is not None:
        yield from _flaws(field, value, place)


def _nuls(value: Any, place: str) -> Iterator[str]:
    if _has_nul(value):
        yield f"{place} holds a NUL"


def _has_nul(value: Any) -> bool:
    """Whether a text in it contains NUL; undecoded parts count as without."""
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(map(_has_nul, value)) or any(map(_has_nul, value.values()))
        case list():
            return any(map(_has_nul, value))
        case _:
            return False


def _is_time(text: str) -> bool:
    try:
        parse_timestamp(text)
    except ValueError:
        return False
    return True
