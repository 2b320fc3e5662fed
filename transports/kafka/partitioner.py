"""The partition of a symbol: Kafka's default for keyed records, so that producers in any language agree."""

from __future__ import annotations

from typing import Final

import polars as pl

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_UINT32: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """A. Appleby's MurmurHash2, 32 bits, with the seed that Kafka's clients use."""
    value = _SEED ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _UINT32
        word = (word ^ word >> 24) * _MULTIPLIER & _UINT32
        value = (value * _MULTIPLIER & _UINT32) ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _UINT32
    value = (value ^ value >> 13) * _MULTIPLIER & _UINT32
    return value ^ value >> 15


class Partitioner:
    """Partitions of symbols on a topic with `partitions` partitions; hashes each symbol once."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._known: dict[str, int] = {}

    def assign(self, symbols: pl.Series) -> pl.Series:
        """Partition of each symbol; a record without a symbol needs no order and goes to partition 0."""
        distinct = symbols.unique()
        assigned = [0 if symbol is None else self._partition(symbol) for symbol in distinct]
        return symbols.replace_strict(distinct, assigned, return_dtype=pl.Int64)

    def _partition(self, symbol: str) -> int:
        if symbol not in self._known:
            self._known[symbol] = (murmur2(symbol.encode()) & 0x7FFFFFFF) % self._partitions
        return self._known[symbol]
