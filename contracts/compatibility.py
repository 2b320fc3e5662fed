"""Whether a JSON Schema still takes, and still gives, what an earlier one of the same major version did.

Fields may be added, as long as nobody has to send them. What is removed, renamed, of another type or unit, newly
required, not required any more, or more narrowly bounded breaks producers or consumers that were right so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.json_schema import VERSION
from contracts.values import UNIT

_Schema = Mapping[str, Any]

# Keywords by which values are told from each other; to change one is to change what is valid.
_FIXED: Final = {"pattern": "pattern", "const": "value", "format": "format", UNIT: "unit"}
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_IS_NARROWER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    **dict.fromkeys(_UPPER, lambda old, new: new < old),
    **dict.fromkeys(_LOWER, lambda old, new: new > old),
}


def breaks(released: _Schema, current: _Schema) -> list[str]:
    """What is wrong with `current` as a later version of `released`, a line each; empty if nothing is."""
    found = list(_breaks(released, current, ""))
    if not found and _without_prose(released) != _without_prose(current):
        found += _version(released, current)
    return found


def _version(released: _Schema, current: _Schema) -> Iterator[str]:
    """A schema that says something else has to say so in its version."""
    old, new = (tuple(map(int, str(schema[VERSION]).split("."))) for schema in (released, current))
    if new[:2] <= old[:2]:
        yield f"it has changed since {released[VERSION]}: raise its version to {old[0]}.{old[1] + 1}.0"


def _without_prose(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_prose(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    prose = ("description", "examples", "title", VERSION)
    is_said = {name: value for name, value in schema.items() if not (name in prose and not isinstance(value, dict))}
    return {name: _without_prose(value) for name, value in is_said.items()}


def _breaks(released: _Schema, current: _Schema, place: str) -> Iterator[str]:
    yield from _types(released, current, place)
    yield from _bounds(released, current, place)
    yield from _fields(released, current, place)
    if isinstance(released.get("items"), dict):
        yield from _breaks(released["items"], current.get("items") or {}, f"{place}[]")
    yield from _values(released.get("prefixItems", []), current.get("prefixItems", []), place)
    yield from _conditions(released, current, place)


def _values(released: Sequence[_Schema], current: Sequence[_Schema], place: str) -> Iterator[str]:
    """Of a tuple, which has all of them."""
    if len(released) != len(current):
        yield f"{_named(place)} had {len(released)} values, and has {len(current)}"
    for at, (old, new) in enumerate(zip(released, current, strict=False)):
        yield from _breaks(old, new, f"{place}[{at}]")


def _named(place: str) -> str:
    return place or "the message"


def _types(released: _Schema, current: _Schema, place: str) -> Iterator[str]:
    old, new = (_type(schema) for schema in (released, current))
    if old != new:
        yield f"{_named(place)} was {old or 'of any type'}, and is {new or 'of any type'}"
    lost = [value for value in released.get("enum", ()) if value not in current.get("enum", (value,))]
    if lost:
        yield f"{_named(place)} cannot be {', '.join(map(str, lost))} any more"
    if "enum" in current and "enum" not in released:
        yield f"{_named(place)} cannot have all values any more"


def _type(schema: _Schema) -> str:
    kind = schema.get("type", "")
    return kind if isinstance(kind, str) else " or ".join(sorted(kind))


def _bounds(released: _Schema, current: _Schema, place: str) -> Iterator[str]:
    for keyword, meaning in _FIXED.items():
        if released.get(keyword) != current.get(keyword):
            yield f"{_named(place)} has another {meaning}: {current.get(keyword)}, and had {released.get(keyword)}"
    for keyword, is_narrower in _IS_NARROWER.items():
        old, new = released.get(keyword), current.get(keyword)
        if new is not None and (old is None or is_narrower(old, new)):
            yield f"{_named(place)} is bound more narrowly: {keyword} {new}, and had {'none' if old is None else old}"


def _fields(released: _Schema, current: _Schema, place: str) -> Iterator[str]:
    old, new = released.get("properties", {}), current.get("properties", {})
    was_required, is_required = released.get("required", ()), current.get("required", ())
    prefix = f"{place}." if place else ""
    for name, schema in old.items():
        if name not in new:
            yield f"{prefix}{name} is gone: it was removed or renamed"
        else:
            yield from _breaks(schema, new[name], f"{prefix}{name}")
    yield from (f"{prefix}{name} is newly required" for name in is_required if name not in was_required)
    for name in was_required:
        if name not in is_required and name in new:
            yield f"{prefix}{name} is not required any more, and consumers count on it"
    if current.get("additionalProperties") is False and released.get("additionalProperties") is not False:
        yield f"{_named(place)} takes no other fields any more"


def _conditions(released: _Schema, current: _Schema, place: str) -> Iterator[str]:
    """Of rules that hold only where others do, those that hold may add fields; all else stays."""
    for keyword in ("if", "not", "anyOf", "oneOf"):
        if released.get(keyword) != current.get(keyword):
            yield f"{_named(place)} has other rules ({keyword})"
    old, new = released.get("allOf", []), current.get("allOf", [])
    if len(old) != len(new):
        yield f"{_named(place)} has other rules (allOf)"
    for before, after in zip(old, new, strict=False):
        yield from _breaks(before, after, place)
    for keyword in ("then", "else"):
        if keyword in released or keyword in current:
            yield from _breaks(released.get(keyword, {}), current.get(keyword, {}), place)
