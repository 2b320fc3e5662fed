"""The fields of a message, read from its declaration: everything that is derived from a message goes by these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import msgspec
from msgspec import inspect

from contracts.errors import MdpError
from contracts.values import INT64, IS, TIME, UNIT

Kind = Literal["text", "time", "number", "integer", "flag", "object", "list", "tuple", "struct"]


class ContractError(MdpError):
    """What is wrong with the declaration of a message, or with a name that somebody gave one."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    Attributes:
        kind: "object" is any object of JSON, a "tuple" has so many values of one kind.
        required: whether a message has to have it.
        nullable: whether it may be null, which means the same as being absent.
        schema: keywords of JSON Schema that its type brings along: description, x-unit, pattern and the like.
        extra: what else its type carries along.
        bounds: the least and the largest number, length in bytes, or number of items; None: no bound.
        choices: the values that it can have, if they are few.
        parts: the fields of a struct; what a list holds; the values of a tuple.
        pattern: the regular expression that a text has to match, if that is enforced.
    """

    name: str
    kind: Kind
    required: bool
    nullable: bool
    schema: Mapping[str, Any]
    extra: Mapping[str, Any]
    bounds: tuple[float | None, float | None] = (None, None)
    choices: tuple[str | int, ...] = ()
    parts: tuple[Field, ...] = ()
    pattern: str = ""

    @property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    @property
    def unit(self) -> str:
        return str(self.schema.get(UNIT, ""))

    @property
    def type_text(self) -> str:
        """The type for people: text, number, list of text, one of buy or sell."""
        match self.kind:
            case "list":
                return f"list of {self.parts[0].type_text}"
            case "tuple":
                return f"[{', '.join(part.type_text for part in self.parts)}]"
            case kind if self.choices:
                return " or ".join(map(str, self.choices))
            case kind:
                return kind


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of a struct, in their order.

    Raises:
        ContractError: a field is of a type that no message can have, or has no bound.
    """
    try:
        info = cast("inspect.StructType", inspect.type_info(struct))
    except (TypeError, ValueError) as error:
        raise ContractError(f"{struct.__name__}: {error}") from None
    return tuple(_declared(struct.__name__, one) for one in info.fields)


def _declared(owner: str, declared: inspect.Field) -> Field:
    place = f"{owner}.{declared.name}"
    if declared.name != declared.encode_name:
        raise ContractError(f"{place} is {declared.encode_name} in JSON: give the field that name")
    return _field(place, declared.name, declared.type, required=declared.required)


def _field(place: str, name: str, declared: inspect.Type, *, required: bool = True) -> Field:
    """Raises ContractError: no message can have such a field."""
    nullable, schema, extra = False, dict[str, Any](), dict[str, Any]()
    while isinstance(declared, inspect.Metadata | inspect.UnionType):
        if isinstance(declared, inspect.Metadata):
            schema, extra = {**(declared.extra_json_schema or {}), **schema}, {**(declared.extra or {}), **extra}
            declared = declared.type
        else:
            nullable = declared.includes_none
            declared = _only(place, declared)
    kind, bounds, choices, parts = _kind(place, declared, extra)
    _check_bounds(place, kind, bounds, schema, choices)
    pattern = (declared.pattern or "") if isinstance(declared, inspect.StrType) else ""
    return Field(name, kind, required, nullable, schema, extra, bounds, choices, parts, pattern)


def _only(place: str, union: inspect.UnionType) -> inspect.Type:
    options = [one for one in union.types if not isinstance(one, inspect.NoneType)]
    if len(options) != 1:
        raise ContractError(f"{place} can be of several types: a column has one")
    return options[0]


_Read = tuple[Kind, tuple[float | None, float | None], tuple[str | int, ...], tuple[Field, ...]]


def _kind(place: str, declared: inspect.Type, extra: Mapping[str, Any]) -> _Read:
    match declared:
        case inspect.StrType():
            kind: Kind = "time" if extra.get(IS) == TIME else "text"
            return kind, (declared.min_length, declared.max_length), (), ()
        case inspect.LiteralType():
            choices = tuple(value for value in declared.values if isinstance(value, str | int))
            is_text = all(isinstance(value, str) for value in choices)
            return "text" if is_text else "integer", (None, None), choices, ()
        case inspect.FloatType() | inspect.IntType():
            is_whole = isinstance(declared, inspect.IntType)
            return "integer" if is_whole else "number", (declared.ge, declared.le), (), ()
        case inspect.BoolType():
            return "flag", (None, None), (), ()
        case inspect.DictType() | inspect.RawType():
            return "object", (None, None), (), ()
        case _:
            return _nested(place, declared)


def _nested(place: str, declared: inspect.Type) -> _Read:
    match declared:
        case inspect.ListType():
            item = _part(f"{place}[]", declared.item_type)
            return "list", (declared.min_length, declared.max_length), (), (item,)
        case inspect.TupleType():
            values = tuple(_part(f"{place}[{at}]", one) for at, one in enumerate(declared.item_types))
            if len({one.kind for one in values}) > 1:
                raise ContractError(f"{place} has values of several kinds: give them names, in a struct")
            return "tuple", (None, None), (), values
        case inspect.StructType():
            return "struct", (None, None), (), tuple(map(_inner, fields_of(declared.cls)))
        case _:
            raise ContractError(f"{place} is of a type that no column holds: {type(declared).__name__}")


def _part(place: str, declared: inspect.Type) -> Field:
    return _inner(_field(place, place, declared))


def _inner(field: Field) -> Field:
    """Raises ContractError: it has to be a field by itself."""
    if field.kind in ("time", "object", "struct"):
        raise ContractError(f"{field.name} is a {field.kind} inside of another field: make it a field of the message")
    return field


def _check_bounds(
    place: str,
    kind: Kind,
    bounds: tuple[float | None, float | None],
    schema: Mapping[str, Any],
    choices: tuple[str | int, ...],
) -> None:
    """A message that somebody else writes must not be as large as they like, nor hold what no column does."""
    least, most = bounds
    if kind == "text" and most is None and not choices and not {"maxLength", "pattern", "enum"} & schema.keys():
        raise ContractError(f"{place} is a text of any length: take contracts.values.Text, or say max_length")
    if kind == "list" and most is None:
        raise ContractError(f"{place} is a list of any length: say max_length")
    if kind == "integer" and not choices and (least is None or most is None or least < INT64[0] or most > INT64[1]):
        raise ContractError(f"{place} is an integer of any size: take contracts.values.Int64, or say ge and le")
