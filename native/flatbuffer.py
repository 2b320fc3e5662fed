"""FlatBuffers, as far as messages of Arrow IPC need them: where a verified table keeps its fields.

https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class Table(NamedTuple):
    """A table that has been verified: its fields are where its vtable says."""

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
        """Where it is, if it is there."""
        vtable = self.vtable
        entry = vtable.start + 4 + 2 * slot
        found: int = struct.unpack_from("<H", self.data, entry)[0] if entry < vtable.stop else 0
        return self.at + found if found else None

    def table(self, slot: int) -> Table | None:
        """The table that a field refers to."""
        place = self.field(slot)
        return None if place is None else Table(self.data, target(self.data, place))

    def vector(self, slot: int) -> tuple[int, int] | None:
        """(how many elements it has, where they begin) of the vector that a field refers to."""
        place = self.field(slot)
        if place is None:
            return None
        start = target(self.data, place)
        return int(struct.unpack_from("<I", self.data, start)[0]), start + 4

    def long(self, slot: int) -> int:
        """A field of 64 bits; 0 where it is left out."""
        place = self.field(slot)
        return 0 if place is None else int(struct.unpack_from("<q", self.data, place)[0])

    def flag(self, slot: int) -> bool:
        """A field of one bit; false where it is left out."""
        place = self.field(slot)
        return place is not None and self.data[place] != 0

    def only(self, count: int) -> list[int] | None:
        """Where its first fields are, if all of them are there, and no other."""
        slots = (self.vtable.stop - self.vtable.start - 4) // 2
        found = [self.field(slot) for slot in range(slots)]
        places = [place for place in found[:count] if place is not None]
        return places if len(places) == count and not any(found[count:]) else None


def target(data: bytes, at: int) -> int:
    """Where an offset points to."""
    offset: int = struct.unpack_from("<I", data, at)[0]
    return at + offset
