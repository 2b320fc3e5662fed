"""The keys of Kafka partitions in Bytewax, chosen so that all steps of a partition run in one worker.

Bytewax assigns the parts of sources and sinks to its n workers round-robin, in the order of their names: part p goes to
worker p mod n. A stateful step runs in the worker given by the hash of its key: SipHash-1-3 with a zero key, over the
text and a byte 0xff, modulo n. So a key is the name of its partition plus a suffix that makes the hash congruent to its
number modulo 840, a multiple of 1 to 8, 10, 12, 14 and 15. With another number of workers, or if another release of
Bytewax routes differently, batches cross between workers; results stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_MODULUS: Final = 840
_STATE: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)  # of a zero key
_PAIRS: Final = [f"{number:02x}" for number in range(256)]  # a suffix is two of them
_ROWS: Final = 16  # minimum for a pass
_AT_ONCE: Final = 32  # partitions per pass, as most of its time is call overhead


def part_name(partition: int) -> str:
    """The name of a partition's part of a source or a sink. Bytewax sorts names as text, so they have leading zeros.

    Raises:
        ValueError: there are more partitions than names of five digits.
    """
    if partition > 99_999:
        raise ValueError(f"partition {partition}: a topic can have at most 100,000")
    return f"{partition:05d}"


def partition_key(partition: int) -> str:
    """The key of a partition in stateful steps: the same in all releases, as it identifies saved state."""
    number, place = divmod(partition, _AT_ONCE)
    return _keys(range(number * _AT_ONCE, (number + 1) * _AT_ONCE))[place]


def stay_together(workers: int) -> bool:
    """Whether with this number of workers all steps of a partition run in the worker that reads it."""
    return _MODULUS % workers == 0


def partition_of(name: str) -> int:
    """The partition of a name or a key."""
    return int(name.partition("-")[0])


@cache
def _keys(partitions: Sequence[int]) -> list[str]:
    keys: dict[int, str] = {}
    left, highs = list(partitions), iter(_PAIRS)
    while left:
        tried = list(islice(highs, 1 + _ROWS // len(left)))
        starts = [f"{part_name(partition)}-{high}" for partition in left for high in tried]
        hashes = _hashes(starts).reshape(len(left), -1)
        fits = hashes % np.uint64(_MODULUS) == np.array(left, np.uint64)[:, None] % np.uint64(_MODULUS)
        for row in np.flatnonzero(fits.any(axis=1)):
            high, low = divmod(int(fits[row].argmax()), len(_PAIRS))
            keys[left[row]] = f"{part_name(left[row])}-{tried[high]}{_PAIRS[low]}"
        left = [partition for partition in left if partition not in keys]
    return [keys[partition] for partition in partitions]


def _hashes(starts: Sequence[str]) -> Words:
    """The hashes that Bytewax takes modulo its workers, for each first eight bytes (rows) and suffix (columns)."""
    first = np.array([_block(start.encode()) for start in starts], np.uint64)[:, None]
    length = 8 + 3
    last = [_block(pair.encode() + b"\xff") | length << 56 for pair in _PAIRS]
    return siphash13(first, np.array(last, np.uint64))


def _block(text: bytes) -> int:
    return int.from_bytes(text, "little")


def siphash13(*blocks: Words) -> Words:
    """SipHash-1-3 with a zero key.

    Args:
        blocks: the messages in words of eight bytes, the first of each, the second of each and so on, in shapes that
            broadcast. The last one ends with the length of the message, as the algorithm requires.
    """
    shape = np.broadcast_shapes(*(block.shape for block in blocks))
    v0, v1, v2, v3 = (np.full(shape, word, np.uint64) for word in _STATE)
    for block in blocks:
        v3 ^= block
        _round(v0, v1, v2, v3)
        v0 ^= block
    v2 ^= np.uint64(0xFF)
    for _ in range(3):
        _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _round(v0: Words, v1: Words, v2: Words, v3: Words) -> None:
    """A round in place, which takes half the time."""
    v0 += v1
    _rotate(v1, 13)
    v1 ^= v0
    _rotate(v0, 32)
    v2 += v3
    _rotate(v3, 16)
    v3 ^= v2
    v0 += v3
    _rotate(v3, 21)
    v3 ^= v0
    v2 += v1
    _rotate(v1, 17)
    v1 ^= v2
    _rotate(v2, 32)


def _rotate(words: Words, bits: int) -> None:
    high = words >> np.uint64(64 - bits)
    words <<= np.uint64(bits)
    words |= high
