"""A mapping of fields that is declared: paths, constants, words and units."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from types import NoneType
from typing import Any, Final

import msgspec

from contracts.fields import Field
from contracts.message import MessageType
from contracts.suggestions import did_you_mean
from normalize import values
from normalize.mapping import FieldConfig, MappingConfig, TimeConfig
from normalize.paths import MappingError, Path
from normalize.picking import Picker, either
from normalize.rows import Columns
from normalize.typed import TypedReader

_OF_ENVELOPE: Final = "_of_the_envelope"  # as fields of payloads may have these names, too
_TIME: Final = f"event_time{_OF_ENVELOPE}"
_SEQUENCE: Final = f"sequence{_OF_ENVELOPE}"
_OWN_ID: Final = f"event_id{_OF_ENVELOPE}"

_Place = tuple[str, str, values.Convert | None]  # what it is called, its path, and how its values are converted


class DeclaredMapper:
    """Maps by a declaration, which is checked against the type.

    Raises:
        MappingError: it names a field that the type does not have, leaves out one that it needs, or has a constant that
            it does not take.
    """

    def __init__(self, config: MappingConfig, kind: MessageType) -> None:
        fields, time = config.fields, config.event_time
        assert fields is not None
        assert time is not None
        self.kind: Final = kind
        _check_names(fields, kind)
        places = [_field_place(field, fields[field.name]) for field in kind.fields if _has_path(fields.get(field.name))]
        of_envelope = [_time_place(time), *_places_of(config)]
        self._constants = {name: field.value for name, field in fields.items() if field.path is None}
        self._conversions = [place for place in (*places, *of_envelope) if place[2] is not None]
        self._of_envelope = of_envelope
        _check_constants(self._constants, kind)
        paths = {name: Path.parse(path) for name, path, _ in (*places, *of_envelope)}
        read = Picker(paths, None if config.each is None else Path.parse(config.each)).read
        self._typed = TypedReader.of(kind, config, paths)
        self.read: Final = read if self._typed is None else either(self._typed.read, read)

    def columns(self, found: list[Any]) -> Columns:
        typed = self._typed
        if typed is None:
            return self._mapped(found)
        messages = typed.messages(found)
        if NoneType not in set(map(type, messages)):
            return self._beside(found, messages)
        made = [at for at, message in enumerate(messages) if message is not None]
        left = [at for at, message in enumerate(messages) if message is None]
        of_made = self._beside([found[at] for at in made], [messages[at] for at in made])
        return Columns.merged([(made, of_made), (left, self._mapped([typed.values(found[at]) for at in left]))])

    def _beside(self, found: list[Any], messages: list[Any]) -> Columns:
        """Messages that are made, with what else their envelopes have from what was read."""
        assert self._typed is not None
        errors: dict[int, str] = {}
        columns = {
            name: _converted(name, path, convert, list(map(attrgetter(self._typed.places[name]), found)), errors)
            for name, path, convert in self._of_envelope
        }
        nothing: list[Any] = [None] * len(found)
        return Columns(messages, columns[_TIME], columns.get(_SEQUENCE, nothing), columns.get(_OWN_ID, nothing), errors)

    def _mapped(self, found: list[dict[str, Any]]) -> Columns:
        """Messages to be, field by field, from all values of each."""
        errors: dict[int, str] = {}
        for name, path, convert in self._conversions:
            given = [one[name] for one in found]
            made = _converted(name, path, convert, given, errors)
            if made is not given:
                for one, value in zip(found, made, strict=True):
                    one[name] = value
        if constants := self._constants:
            for one in found:
                one.update(constants)
        nothing: list[Any] = [None] * len(found)
        columns = {name: [one.pop(name) for one in found] for name, _, _ in self._of_envelope}
        return Columns(found, columns[_TIME], columns.get(_SEQUENCE, nothing), columns.get(_OWN_ID, nothing), errors)


def _converted(
    name: str, path: str, convert: values.Convert | None, given: list[Any], errors: dict[int, str]
) -> list[Any]:
    label = f"{name.removesuffix(_OF_ENVELOPE)} ({path})"
    return given if convert is None else values.converted(given, convert, label, errors)


def _has_path(field: FieldConfig | None) -> bool:
    return field is not None and field.path is not None


def _field_place(field: Field, config: FieldConfig) -> _Place:
    assert config.path is not None
    return field.name, config.path, _convert(field, config)


def _convert(field: Field, config: FieldConfig) -> values.Convert | None:
    if config.unit is not None and field.kind != "time":
        raise MappingError(f"fields.{field.name}.unit is for times, and {field.name} is a {field.type_text}")
    if config.scale is not None and field.kind != "number":
        raise MappingError(f"fields.{field.name}.scale is for numbers, and {field.name} is a {field.type_text}")
    if config.values is not None:
        for meaning in config.values.values():
            _check_choice(field, meaning)
        return values.translated(config.values)
    if config.scale is not None:
        return values.scaled(config.scale)
    if config.unit not in (None, "iso"):
        return values.time_text(str(config.unit))
    return values.text if field.kind == "text" and not field.choices else None


def _check_choice(field: Field, meaning: Any) -> None:
    if field.choices and meaning not in field.choices:
        allowed = " or ".join(map(str, field.choices))
        raise MappingError(f"fields.{field.name}.values has {meaning!r}, and {field.name} is {allowed}")


def _time_place(time: TimeConfig) -> _Place:
    return _TIME, time.path, None if time.unit == "iso" else values.nanoseconds(time.unit)


def _places_of(config: MappingConfig) -> list[_Place]:
    places: list[_Place] = []
    if config.sequence is not None:
        places.append((_SEQUENCE, config.sequence, values.whole))
    if config.event_id is not None:
        places.append((_OWN_ID, config.event_id, values.text))
    return places


def _check_names(fields: Mapping[str, FieldConfig], kind: MessageType) -> None:
    known = {field.name: field for field in kind.fields}
    for name in fields:
        if name not in known:
            raise MappingError(f"fields.{name}: {kind.id} has no such field{did_you_mean(name, known)}")
    missing = [name for name, field in known.items() if field.required and name not in fields]
    if missing:
        raise MappingError(f"fields lacks {', '.join(missing)}, which every message of {kind.id} has")


def _check_constants(constants: Mapping[str, Any], kind: MessageType) -> None:
    """By the type of each field alone: rules about several fields depend on the message."""
    types = {field.name: field.type for field in msgspec.structs.fields(kind.struct)}
    for name, constant in constants.items():
        try:
            msgspec.convert(constant, types[name], strict=False)
        except msgspec.ValidationError as error:
            raise MappingError(f"fields.{name}.value: {error}") from None
