"""A column of byte strings in one buffer."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt

NONE: Final = -1  # the length of a missing string
PADDING: Final = 8

_Ints = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]


def starts_of(lengths: _Ints) -> _Ints:
    """The start of each string, and of the padding after the last, from their lengths."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.maximum(lengths, 0) + 1, out=starts[1:])
    return starts


class _Strings(Sequence["bytes | None"]):
    """Byte strings by index."""

    __slots__ = ()

    @abstractmethod
    def one(self, index: int) -> bytes | None: ...

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes | None]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self.one(at) for at in range(*index.indices(len(self)))]
        return self.one(index)


@dataclass(frozen=True, slots=True, eq=False)
class BinaryColumn(_Strings):
    """Byte strings, some of which may be missing.

    Attributes:
        data: the strings in order, each followed by a zero byte, so that a scan needs no other limit; at the end
            PADDING more bytes, as a scan reads several bytes at once.
        starts: the offset of each string.
        lengths: of each, without its zero byte; NONE for a missing one.
    """

    data: _Bytes
    starts: _Ints
    lengths: _Ints

    @classmethod
    def of(cls, values: Iterable[bytes | None]) -> BinaryColumn:
        every = list(values)
        lengths = np.array([NONE if value is None else len(value) for value in every], np.int64)
        data = bytearray(b"\0".join([*(value or b"" for value in every), bytes(PADDING)]))
        return cls(np.frombuffer(data, np.uint8), starts_of(lengths)[:-1], lengths)

    @classmethod
    def joined(cls, parts: Sequence[BinaryColumn]) -> BinaryColumn:
        shifts = accumulate((len(part.data) for part in parts[:-1]), initial=0)
        starts = [part.starts + shift for part, shift in zip(parts, shifts, strict=True)]
        return cls(
            np.concatenate([part.data for part in parts]),
            np.concatenate(starts),
            np.concatenate([part.lengths for part in parts]),
        )

    def between(self, span: slice) -> BinaryColumn:
        """A slice of the strings, in the same buffer."""
        return BinaryColumn(self.data, self.starts[span], self.lengths[span])

    def __len__(self) -> int:
        return len(self.lengths)

    def one(self, index: int) -> bytes | None:
        start, length = int(self.starts[index]), int(self.lengths[index])
        return None if length == NONE else self.data[start : start + length].tobytes()

    def to_list(self) -> list[bytes | None]:
        """All strings; by slices of one copy, which takes a fifth of the time of one by one."""
        if not len(self):
            return []
        first = int(self.starts[0])
        data = self.data[first : int(self.starts[-1]) + max(int(self.lengths[-1]), 0)].tobytes()
        places = zip((self.starts - first).tolist(), self.lengths.tolist(), strict=True)
        return [None if length == NONE else data[start : start + length] for start, length in places]

    def view(self, index: int) -> memoryview:
        """A string without a copy; empty if it is missing."""
        start = int(self.starts[index])
        return self.data[start : start + max(int(self.lengths[index]), 0)].data


class Chained(_Strings):
    """A concatenation of columns of byte strings, without copies."""

    def __init__(self, parts: Sequence[BinaryColumn]) -> None:
        self._parts = parts
        self._firsts = list(accumulate((len(part) for part in parts), initial=0))

    def __len__(self) -> int:
        return self._firsts[-1]

    def one(self, index: int) -> bytes | None:
        part = bisect_right(self._firsts, index) - 1
        return self._parts[part].one(index - self._firsts[part])
