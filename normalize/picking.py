"""Reads the values at some paths of a JSON text, by name.

Only what the paths lead to is decoded: the paths become a struct of msgspec, which skips everything else in half the
time that decoding it takes. A message of another shape than they expect is decoded whole, and walked through. What is
not there is None, either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from contracts.record import Buffer
from normalize.paths import Path, Steps, walk

Values = dict[str, Any]

_Names = tuple[str, ...]
_Read = Callable[[Buffer], list[Any]]

_whole: Final = msgspec.json.Decoder().decode
_ITEMS: Final = "items_of_each"


class Picker:
    """Reads the values at paths.

    `read` returns those of a message, or of each item in it. It raises msgspec.DecodeError, UnicodeDecodeError or
    RecursionError if the text is not JSON, and ValueError if there is no list of items.

    Args:
        paths: by the names of the values, which are identifiers.
        each: the list whose items are read one by one. Paths begin at the item, outer ones at the whole message.
    """

    def __init__(self, paths: Mapping[str, Path], each: Path | None = None) -> None:
        self._paths, self._each = paths, each
        fast = _of_message(paths) if each is None else _of_items(paths, each.steps)
        self.read: Final[_Read] = self._walked if fast is None else either(fast, self._walked)

    def _walked(self, text: Buffer) -> list[Values]:
        message = _whole(text)
        items = [message] if self._each is None else walk(message, self._each.steps)
        if not isinstance(items, list):
            raise ValueError(f"{self._each} is not a list")
        return [
            {name: walk(message if path.is_outer else item, path.steps) for name, path in self._paths.items()}
            for item in items
        ]


def either(fast: _Read, slow: _Read) -> _Read:
    """Reads by the first, or by the second if a message is of another shape than the first expects."""

    def read(text: Buffer) -> list[Any]:
        try:
            return fast(text)
        except (msgspec.ValidationError, AttributeError):  # of another shape, or with a null where an object was
            return slow(text)

    return read


def _of_message(paths: Mapping[str, Path]) -> _Read | None:
    """A fast reader; None if paths do not form a struct."""
    shape = Shape.of({name: path.steps for name, path in paths.items()})
    if shape is None:
        return None
    decode, get = msgspec.json.Decoder(shape.type).decode, shape.get
    return lambda text: [get(decode(text))]


def _of_items(paths: Mapping[str, Path], each: Steps) -> _Read | None:
    """A fast reader; None if paths do not form a struct, or the list is an item of another one."""
    if len(_names(each)) < len(each):
        return None
    outer, inner = (
        {name: path.steps for name, path in paths.items() if path.is_outer is is_outer} for is_outer in (True, False)
    )
    item = Shape.of(inner)
    message = None if item is None else Shape.of({**outer, _ITEMS: each}, {each: list[item.type]})  # type: ignore[name-defined]
    if item is None or message is None:
        return None
    decode, of_message, of_item = msgspec.json.Decoder(message.type).decode, message.get, item.get

    def read(text: Buffer) -> list[Values]:
        rest = of_message(decode(text))
        items = rest.pop(_ITEMS)
        if items is None:
            raise AttributeError
        return [of_item(one) | rest for one in items] if rest else list(map(of_item, items))

    return read


class Shape(NamedTuple):
    """A type that holds what paths lead to.

    Attributes:
        type: a struct.
        get: takes the values out of it.
        places: the attribute of each value, or of the list that it is in, such as f1.f0.
    """

    type: Any
    get: Callable[[Any], Values]
    places: Mapping[str, str]

    @classmethod
    def of(cls, paths: Mapping[str, Steps], types: Mapping[Steps, Any] | None = None) -> Shape | None:
        """`types` are those of values that are not of any type. None if no struct has all of the paths."""
        leaves = {name: _names(steps) for name, steps in paths.items()}
        every = set(leaves.values())
        if () in every or any(names[:length] in every for names in every for length in range(1, len(names))):
            return None
        if len(every) == len(paths) and all(len(steps) == 1 for steps in paths.values()):
            flat = _flat({name: steps[0] for name, steps in leaves.items()}, types or {})
            return cls(flat, msgspec.structs.asdict, {name: name for name in leaves})
        root, attributes = _struct(every, types or {})
        places = {name: attributes[names] for name, names in leaves.items()}
        rest = [steps[len(leaves[name]) :] for name, steps in paths.items()]
        return cls(root, _getter(list(paths), list(places.values()), rest), places)


def _names(steps: Steps) -> _Names:
    """What a path begins with, up to its first place in a list."""
    return tuple(str(step) for step in takewhile(lambda step: isinstance(step, str), steps))


def _flat(names: Mapping[str, str], types: Mapping[Steps, Any]) -> type[msgspec.Struct]:
    """A struct of fields that are called as values are to be, whatever JSON calls them."""
    fields = [(name, types.get((in_json,), Any), None) for name, in_json in names.items()]
    return msgspec.defstruct("Picked", fields, rename=dict(names), gc=False)


def _struct(leaves: set[_Names], types: Mapping[Steps, Any]) -> tuple[type[msgspec.Struct], dict[_Names, str]]:
    """A struct with these leaves, and the attribute that each of them is in it: names of JSON may be no attributes."""
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    places: dict[_Names, str] = {}
    for number, name in enumerate(sorted({names[0] for names in leaves})):
        attribute = f"f{number}"
        rename[attribute] = name
        below = {names[1:] for names in leaves if names[0] == name}
        if () in below:
            places[(name,)] = attribute
            fields.append((attribute, types.get((name,), Any), None))
            continue
        inner, its_places = _struct(below, {steps[1:]: one for steps, one in types.items() if steps[0] == name})
        places |= {(name, *names): f"{attribute}.{place}" for names, place in its_places.items()}
        fields.append((attribute, inner, msgspec.field(default_factory=inner)))
    return msgspec.defstruct("Picked", fields, rename=rename, gc=False), places


def _getter(names: Sequence[str], places: Sequence[str], rest: Sequence[Steps]) -> Callable[[Any], Values]:
    """What takes the values at these attributes, and after the rest of their paths."""
    getters = [attrgetter(place) for place in places]
    if any(rest):
        known = list(zip(names, getters, rest, strict=True))
        return lambda owner: {name: walk(get(owner), steps) for name, get, steps in known}
    if len(places) < 2:  # of one, it returns the value itself
        return lambda owner: {name: get(owner) for name, get in zip(names, getters, strict=True)}
    several = attrgetter(*places)
    return lambda owner: dict(zip(names, several(owner), strict=True))
