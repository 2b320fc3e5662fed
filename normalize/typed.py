"""Messages whose fields need no more than a path, a constant, or the meaning of a word.

They are decoded by the types that their fields are to have, so that what is read is valid, and become structs at once:
a third of the time of mapping and validating field by field, which is left to what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, Final, NamedTuple

import msgspec

from contracts.fields import Field
from contracts.message import MessageType
from contracts.record import Buffer
from contracts.values import Int64
from normalize.mapping import FieldConfig, MappingConfig
from normalize.paths import Path
from normalize.picking import Shape, Values

_Column = Callable[[Sequence[Any]], Sequence[Any]]  # of values, or of what was read, to a field of messages

_UNFIT: Final = (ValueError, TypeError, KeyError)  # of a value that is not what its field is to be
_ALWAYS_GIVEN: Final = object()  # the default of a field that has none


class _Declared(NamedTuple):
    """A field of a type.

    Attributes:
        type: its annotation.
        default: what it is where a mapping does not have it.
    """

    field: Field
    type: Any
    default: Any


class _Leaf(NamedTuple):
    """The type by which a field is decoded, and what makes its values of those."""

    type: Any
    convert: _Column


class TypedReader:
    """Reads messages, and makes structs of what it has read.

    Attributes:
        places: the attribute of each value in what is read, by its name.
    """

    def __init__(self, kind: MessageType, shape: Shape, columns: Sequence[_Column]) -> None:
        self.places: Final = shape.places
        self._type: Any = shape.type
        self._values = shape.get
        self._decode = msgspec.json.Decoder(shape.type, strict=False).decode
        self._columns = columns
        self._struct = _positional(kind)

    @classmethod
    def of(cls, kind: MessageType, config: MappingConfig, paths: Mapping[str, Path]) -> TypedReader | None:
        """None if a field needs more, or has several values in a message.

        Args:
            kind: the type of the messages.
            config: a mapping of fields that is valid for it.
            paths: what is read, by name: the fields that have a path, and others.
        """
        fields, declared = config.fields or {}, _declared(kind)
        leaves = {name: _leaf(one, fields[name]) for name, one in declared.items() if name in paths}
        types = {paths[name].steps: leaf.type for name, leaf in leaves.items() if leaf is not None}
        shape = Shape.of({name: path.steps for name, path in paths.items()}, types)
        is_plain = all(isinstance(step, str) for path in paths.values() for step in path.steps)
        are_apart = len({path.steps for path in paths.values()}) == len(paths)
        have_defaults = all(one.field.required or one.default is not msgspec.NODEFAULT for one in declared.values())
        if shape is None or config.each is not None or None in leaves.values():
            return None
        if not (is_plain and are_apart and have_defaults):
            return None
        return cls(kind, shape, [_column(one, fields, leaves, shape) for one in declared.values()])

    def read(self, text: Buffer) -> list[Any]:
        """What a raw message holds.

        Raises:
            msgspec.ValidationError: a value is not of the type of its field.
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is not JSON.
        """
        return [self._decode(text)]

    def values(self, found: Any) -> Values:
        """What was read of a raw message, by name, whoever has read it."""
        return self._values(found) if type(found) is self._type else found

    def messages(self, found: Sequence[Any]) -> list[Any]:
        """The message of each; None for one that cannot be made here, as it was read in another way, say."""
        if set(map(type, found)) == {self._type}:
            return self._made(found)
        made = iter(self._made([one for one in found if type(one) is self._type]))
        return [next(made) if type(one) is self._type else None for one in found]

    def _made(self, found: Sequence[Any]) -> list[Any]:
        try:
            return list(map(self._struct, *(column(found) for column in self._columns)))
        except _UNFIT:
            if len(found) == 1:
                return [None]
        middle = len(found) // 2
        return self._made(found[:middle]) + self._made(found[middle:])


def _declared(kind: MessageType) -> dict[str, _Declared]:
    annotated = {one.name: one for one in msgspec.structs.fields(kind.struct)}
    return {
        field.name: _Declared(field, annotated[field.name].type, annotated[field.name].default) for field in kind.fields
    }


def _positional(kind: MessageType) -> Any:
    """The struct of a type, whose fields are given by position: so no line of Python runs for a message."""
    fields = [
        (name, Any, _ALWAYS_GIVEN if one.default is msgspec.NODEFAULT else one.default)
        for name, one in _declared(kind).items()
    ]
    return msgspec.defstruct(kind.struct.__name__, fields, bases=(kind.struct,), kw_only=False)


def _leaf(declared: _Declared, config: FieldConfig) -> _Leaf | None:
    field = declared.field
    if config.scale is not None or config.unit not in (None, "iso"):
        return None
    if config.values is not None:
        return _words(declared, config.values)
    if field.kind == "text" and not field.choices:
        return _Leaf(declared.type | Int64 | float | None, _texts(field))
    return _Leaf(declared.type, _given(field)) if field.kind in ("number", "text", "time") else None


def _words(declared: _Declared, words: Mapping[Any, Any]) -> _Leaf | None:
    try:
        meanings = {word: msgspec.convert(meaning, declared.type, strict=False) for word, meaning in words.items()}
    except msgspec.ValidationError:
        return None
    if declared.field.nullable:
        meanings[None] = None
    if set(map(type, words)) == {str}:
        return _Leaf(str | None, lambda values: list(map(meanings.__getitem__, values)))
    known = {(type(word), word): meaning for word, meaning in meanings.items()}  # in Python, True == 1
    return _Leaf(Any, lambda values: [known[type(value), value] for value in values])


def _texts(field: Field) -> _Column:
    """Whole numbers as texts. Other numbers are read only so that whole ones are told from them."""
    types = {str, int, NoneType} if field.nullable else {str, int}

    def convert(values: Sequence[Any]) -> Sequence[Any]:
        found = set(map(type, values))
        if not found <= types:
            raise TypeError(found)
        return [str(value) if type(value) is int else value for value in values] if int in found else values

    return convert


def _given(field: Field) -> _Column:
    def convert(values: Sequence[Any]) -> Sequence[Any]:
        if not field.nullable and NoneType in set(map(type, values)):
            raise ValueError(field.name)
        return values

    return convert


def _column(
    declared: _Declared, fields: Mapping[str, FieldConfig], leaves: Mapping[str, _Leaf | None], shape: Shape
) -> _Column:
    name = declared.field.name
    leaf = leaves.get(name)
    if leaf is not None:
        get, convert = attrgetter(shape.places[name]), leaf.convert
        return lambda found: convert(list(map(get, found)))
    value = msgspec.convert(fields[name].value, declared.type, strict=False) if name in fields else declared.default
    return lambda found: [value] * len(found)
