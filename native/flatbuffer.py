"""FlatBuffers, as far as Arrow IPC messages need them: where the fields of a verified table lie.

https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class Table(NamedTuple):
    """A verified table: its vtable gives the offsets of its fields."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes, at: int = 0) -> Table:
        return cls(data, target(data, at))

    @property
    def vtable(self) -> slice:
        start: int = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        return slice(start, start + struct.unpack_from("<H", self.data, start)[0])

    def field(self, slot: int) -> int | None:
        """The offset of a field; None if it is absent."""
        vtable = self.vtable
        entry = vtable.start + 4 + 2 * slot
        found: int = struct.unpack_from("<H", self.data, entry)[0] if entry < vtable.stop else 0
        return self.at + found if found else None

    def table(self, slot: int) -> Table | None:
        """The table that a field refers to."""
        place = self.field(slot)
        return None if place is None else Table(self.data, target(self.data, place))

    def vector(self, slot: int) -> tuple[int, int] | None:
        """Return (length, offset of the first element) of the vector that a field refers to."""
        place = self.field(slot)
        if place is None:
            return None
        start = target(self.data, place)
        return int(struct.unpack_from("<I", self.data, start)[0]), start + 4

    def long(self, slot: int) -> int:
        """A field of 64 bits; 0 if it is absent."""
        place = self.field(slot)
        return 0 if place is None else int(struct.unpack_from("<q", self.data, place)[0])

    def flag(self, slot: int) -> bool:
        """A field of one bit; false if it is absent."""
        place = self.field(slot)
        return place is not None and self.data[place] != 0

    def only(self, count: int) -> list[int] | None:
        """The offsets of the first `count` fields, if the table has exactly these."""
        slots = (self.vtable.stop - self.vtable.start - 4) // 2
        found = [self.field(slot) for slot in range(slots)]
        places = [place for place in found[:count] if place is not None]
        return places if len(places) == count and not any(found[count:]) else None


def target(data: bytes, at: int) -> int:
    """The position that the offset at `at` points to."""
    offset: int = struct.unpack_from("<I", data, at)[0]
    return at + offset
