"""What a compiled scan reads of a JSON object: tables for `native.json_scan`, derived from a message's declaration.

An object may hold objects, which hold none. Each has a region of the table, in which a field lies at the hash of its
name; the multiplier of the hash is one by which no two fields of an object meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.fields import Field
from contracts.values import INT64

NEVER, TEXT, CHOICE, TIME, NUMBER, INTEGER, OBJECT = range(7)  # kinds of fields; a value of the first is never plain
GIVEN, LONG, WHEN = range(3)  # columns of what is found: two sets of bits, and the first that is kept
SLOTS_BITS: Final = 6
SLOTS: Final = 1 << SLOTS_BITS  # of an object's region
SPREAD: Final = 0x9E3779B97F4A7C15 - 2**64  # of the second word of a name, before it is hashed
WORDS: Final = 4  # of a choice
CHOICES: Final = 2  # of a field

_UNUSED: Final = -1  # as the first word of a name: no text has it
_KINDS: Final = {"text": TEXT, "time": TIME, "number": NUMBER, "integer": INTEGER}
_COLUMNS: Final = {TEXT: 2, CHOICE: 1, TIME: 1, NUMBER: 3, INTEGER: 1, OBJECT: 2}  # that a field of a kind is kept in
_LONGEST: Final = 2**31

# The table is an array of words of eight bytes. Compiled code has its address, as passing an array to a function takes
# as long as reading a field. It begins with the multiplier; then follow the objects, each with the bits of its required
# fields, the column in which it is kept, and its fields. These are the places of its parts, in bytes.
FIRST, SECOND, BIT, KIND, IS_NULLABLE, COLUMN, LEAST, MOST, INSIDE, CHOICE_COUNT, LENGTHS, CHOICE_WORDS = (
    8 * word for word in (*range(11), 10 + CHOICES)
)
FIELD_BYTES: Final = CHOICE_WORDS + 8 * CHOICES * WORDS
REQUIRED, KEPT_IN, FIELDS = 0, 8, 16
OBJECT_BYTES: Final = FIELDS + SLOTS * FIELD_BYTES
ROOT: Final = 8

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """The fields of one object.

    Attributes:
        fields: as they are declared; a field that is not among them may hold any text, number, word, or null.
        required: the names of those that must be there, and not null, beside those whose declaration says so.
        only: the text that a field must hold to be plain, by its name.
        patterned: fields whose pattern whoever scans checks by other means.
        inside: the parts of fields that are objects; those of structs follow from their declaration.
    """

    fields: Sequence[Field]
    required: Collection[str] = ()
    only: Mapping[str, str] = field(default_factory=dict)
    patterned: Collection[str] = ()
    inside: Mapping[str, Part] = field(default_factory=dict)


class _Placed(NamedTuple):
    """A field, where it is: the index of its object, its path such as payload.price, and the object that it is."""

    owner: int
    path: str
    declared: Field
    part: Part
    inside: int


class Scanner:
    """The tables of one kind of object, and the columns in which its fields are kept.

    The first columns hold the bits of fields that are there and not null, and those of numbers that have too many
    digits. Then each field that is kept has one for an integer or a time, two for the address and the length of a text,
    three for a number and its text. A choice is kept as an integer: 1 is the first.

    Args:
        part: the object.
        kept: the paths of fields, such as payload.price, by the names to keep them under; first the event's time.

    Raises:
        ValueError: a path is none of a declared field, or a name is too long.
    """

    def __init__(self, part: Part, kept: Mapping[str, str]) -> None:
        placed = {one.path: one for one in _placed(part, count(), "")}
        if unknown := [path for path in kept.values() if path not in placed]:
            raise ValueError(f"no field is called {', '.join(unknown)}")
        kinds = {path: _kind(one, _choices(one.declared, one.part)) for path, one in placed.items()}
        self.kinds: Mapping[str, int] = {name: kinds[path] for name, path in kept.items()}
        ends = list(accumulate((_COLUMNS[kind] for kind in self.kinds.values()), initial=WHEN))
        self._columns = dict(zip(kept, ends, strict=False))
        self.width = ends[-1]
        self._bits = {path: 1 << number for number, path in enumerate(placed)}
        self._paths = dict(kept)
        objects = 1 + max(max(one.owner, one.inside) for one in placed.values())
        multiplier = _multiplier(list(placed.values()))
        self.table: Ints = np.zeros((ROOT + objects * OBJECT_BYTES) // 8, np.int64)
        self.table[0] = multiplier
        columns = {path: self._columns[name] for name, path in kept.items()}
        for number in range(objects):
            self._object(number)[KEPT_IN // 8] = -1
            self._object(number)[FIELDS // 8 :: FIELD_BYTES // 8] = _UNUSED
        for path, one in placed.items():
            self._put(one, self._bits[path], columns.get(path, -1), multiplier)
        self._bounds = {name: _bounds(placed[path].declared) for name, path in kept.items()}

    def column(self, name: str) -> int:
        """The first column of a field that is kept."""
        return self._columns[name]

    def bit(self, name: str) -> int:
        """The bit of a field that is kept."""
        return self._bits[self._paths[name]]

    def bounds(self, name: str) -> tuple[float, float]:
        """The least and the largest value of a number that is kept."""
        return self._bounds[name]

    def _object(self, number: int) -> Ints:
        """The words of an object."""
        return self.table[(ROOT + number * OBJECT_BYTES) // 8 :][: OBJECT_BYTES // 8]

    def _put(self, one: _Placed, bit: int, column: int, multiplier: int) -> None:
        name, declared, owner = one.declared.name, one.declared, self._object(one.owner)
        first, second = _words(name, 2)
        choices, is_needed = _choices(declared, one.part), name in one.part.required
        owner[REQUIRED // 8] |= bit if declared.required or is_needed else 0
        if one.inside:
            self._object(one.inside)[KEPT_IN // 8] = 8 * column if column >= 0 else -1
        least, most = _limits(declared)
        words = {
            FIRST: first,
            SECOND: second,
            BIT: bit,
            KIND: _kind(one, choices),
            IS_NULLABLE: int(declared.nullable and not is_needed),
            COLUMN: 8 * column if column >= 0 else -1,
            LEAST: least,
            MOST: most,
            INSIDE: ROOT + one.inside * OBJECT_BYTES,
            CHOICE_COUNT: len(choices),
        }
        for at, text in enumerate(choices):
            words[LENGTHS + 8 * at] = len(text)
            words |= {CHOICE_WORDS + 8 * (at * WORDS + word): part for word, part in enumerate(_words(text, WORDS))}
        field = owner[(FIELDS + _hash(first, second, multiplier) * FIELD_BYTES) // 8 :]
        for place, word in words.items():
            field[place // 8] = word


def _placed(part: Part, numbers: Iterator[int], path: str) -> Iterator[_Placed]:
    """All fields, those of an object after it."""
    owner = next(numbers)
    for declared in part.fields:
        inner = part.inside.get(declared.name)
        if inner is None and declared.kind == "struct" and not path:
            inner = Part(declared.parts)
        own = f"{path}{declared.name}"
        if inner is None:
            yield _Placed(owner, own, declared, part, 0)
            continue
        found = list(_placed(inner, numbers, f"{own}."))
        yield _Placed(owner, own, declared, part, found[0].owner)
        yield from found


def _kind(one: _Placed, choices: Sequence[str]) -> int:
    declared = one.declared
    if one.inside:
        return OBJECT
    if choices:
        return CHOICE
    if declared.pattern and declared.name not in one.part.patterned:
        return NEVER
    return _KINDS.get(declared.kind, NEVER)


def _choices(declared: Field, part: Part) -> Sequence[str]:
    """The texts that a field can hold, if they are few."""
    if declared.name in part.only:
        return [part.only[declared.name]]
    return [text for text in declared.choices if isinstance(text, str)]


def _bounds(declared: Field) -> tuple[float, float]:
    """The least and the largest value: those that are enforced, or else what the schema says."""
    least, most = declared.bounds
    schema = declared.schema
    return (
        schema.get("minimum", -np.inf) if least is None else least,
        schema.get("maximum", np.inf) if most is None else most,
    )


def _limits(declared: Field) -> tuple[int, int]:
    """The bounds of an integer, of a text's length, or of a number as its bits."""
    least, most = declared.bounds
    match declared.kind:
        case "integer":
            if declared.choices:
                values = sorted(map(int, declared.choices))
                return values[0], values[-1]
            return INT64[0] if least is None else int(least), INT64[1] if most is None else int(most)
        case "number":
            lowest, highest = np.array(_bounds(declared)).view(np.int64).tolist()
            return lowest, highest
        case _:
            schema = declared.schema
            return (
                int(schema.get("minLength", 0) if least is None else least),
                int(schema.get("maxLength", _LONGEST) if most is None else most),
            )


def _words(text: str, most: int) -> list[int]:
    """The bytes of a text as so many numbers of eight, little-endian.

    Raises:
        ValueError: it is longer.
    """
    data = text.encode()
    if len(data) > 8 * most:
        raise ValueError(f"{text!r} is longer than the {8 * most} bytes that a scan compares")
    padded = data.ljust(8 * most, b"\0")
    return [int.from_bytes(padded[at : at + 8], "little", signed=True) for at in range(0, 8 * most, 8)]


def _hash(first: int, second: int, multiplier: int) -> int:
    """As `native.json_scan` computes it, in 64 bits."""
    word = (first ^ (second * SPREAD)) % 2**64
    return int(word * multiplier % 2**64 >> (64 - SLOTS_BITS))


def _multiplier(placed: Sequence[_Placed]) -> int:
    """The first multiplier by which no two fields of an object have one hash, as a signed number."""
    names = {(one.owner, *_words(one.declared.name, 2)) for one in placed}
    for number in count(1):
        multiplier = (number * SPREAD | 1) % 2**64
        places = {(owner, _hash(first, second, multiplier)) for owner, first, second in names}
        if len(places) == len(names):
            return multiplier - 2**64 if multiplier >= 2**63 else multiplier
    raise AssertionError("unreachable")
