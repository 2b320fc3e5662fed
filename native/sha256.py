"""SHA-256 of many byte strings at once, by the instructions that processors have for it.

hashlib takes as long for a short string as these for 800 bytes, as it sets up a context of OpenSSL for each. On a
processor without them it does the work.

FIPS 180-4; Intel SHA Extensions (2013), whose registers hold the state as two vectors: F, E, B, A and H, G, D, C.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic

from native.jit import compiled
from native.memory import copy, four_bytes, put, store

Ints = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]  # a row of DIGEST_BYTES for each

DIGEST_BYTES: Final = 32
_BLOCK_BYTES: Final = 64
_LENGTH_BYTES: Final = 8  # of the message, at the end of the last block
_END: Final = 0x80  # follows the message


def _words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


_CONSTANTS: Final = _words("""
    428a2f98 71374491 b5c0fbcf e9b5dba5 3956c25b 59f111f1 923f82a4 ab1c5ed5
    d807aa98 12835b01 243185be 550c7dc3 72be5d74 80deb1fe 9bdc06a7 c19bf174
    e49b69c1 efbe4786 0fc19dc6 240ca1cc 2de92c6f 4a7484aa 5cb0a9dc 76f988da
    983e5152 a831c66d b00327c8 bf597fc7 c6e00bf3 d5a79147 06ca6351 14292967
    27b70a85 2e1b2138 4d2c6dfc 53380d13 650a7354 766a0abb 81c2c92e 92722c85
    a2bfe8a1 a81a664b c24b8b70 c76c51a3 d192e819 d6990624 f40e3585 106aa070
    19a4c116 1e376c08 2748774c 34b0bcb5 391c0cb3 4ed8aa4a 5b9cca4f 682e6ff3
    748f82ee 78a5636f 84c87814 8cc70208 90befffa a4506ceb bef9a3f7 c67178f2
""")
# Of the state before the first block, in the order of the registers.
_INITIAL: Final = np.array(_words("9b05688c 510e527f bb67ae85 6a09e667 5be0cd19 1f83d9ab a54ff53a 3c6ef372"), np.uint32)
_PLACES: Final = np.array([3, 2, 7, 6, 1, 0, 5, 4])  # of A to H in it

_WORD: Final = ir.IntType(32)
_FOUR: Final = ir.VectorType(_WORD, 4)


def _has_instructions() -> bool:
    """Whether Numba compiles for a processor that has them."""
    configured = getattr(config, "CPU_FEATURES", None)
    features = codegen.get_host_cpu_features() if configured is None else configured  # type: ignore[no-untyped-call]
    return "+sha" in str(features).split(",")


HAS_INSTRUCTIONS: Final = _has_instructions()


def digests(strings: Sequence[bytes]) -> Digests:
    """The digest of each string."""
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    data = np.frombuffer(b"".join(strings), np.uint8)
    return digests_at(data.ctypes.data + np.cumsum(lengths) - lengths, lengths)


def digests_at(addresses: Ints, lengths: Ints) -> Digests:
    """The digest of each string, given its address; whoever calls keeps them alive."""
    found = np.empty((len(lengths), DIGEST_BYTES), np.uint8)
    if HAS_INSTRUCTIONS:
        _hash_all(addresses, lengths, found, _INITIAL, _PLACES)
    else:
        for row, place in enumerate(zip(addresses.tolist(), lengths.tolist(), strict=True)):
            found[row] = np.frombuffer(hashlib.sha256(ctypes.string_at(*place)).digest(), np.uint8)
    return found


def _compress(_: Any, state: Any, block: Any) -> Any:
    """An intrinsic that takes a block of 64 bytes into the state; it gets the addresses of both."""

    def emit(_: Any, builder: Any, __: Any, addresses: Any) -> Any:
        state, block = (builder.inttoptr(address, _FOUR.as_pointer()) for address in addresses)
        vectors = [builder.gep(state, [ir.Constant(_WORD, number)]) for number in range(2)]
        feba, hgdc = before = [builder.load(vector, align=1) for vector in vectors]
        words: list[Any] = []
        for group in range(len(_CONSTANTS) // 4):
            words.append(_message_words(builder, block, group, words[-4:]))
            keyed = builder.add(words[-1], _vector(_CONSTANTS[4 * group : 4 * group + 4]))
            hgdc = _call(builder, "llvm.x86.sha256rnds2", hgdc, feba, keyed)
            later = builder.shuffle_vector(keyed, keyed, _vector((2, 3, 0, 0)))
            feba = _call(builder, "llvm.x86.sha256rnds2", feba, hgdc, later)
        for vector, old, new in zip(vectors, before, (feba, hgdc), strict=True):
            builder.store(builder.add(old, new), vector, align=1)

    return types.void(types.intp, types.intp), emit


def _message_words(builder: Any, block: Any, group: int, before: Sequence[Any]) -> Any:
    """Four words of the message schedule, from the block or from the sixteen words before them."""
    if group < 4:
        words = builder.load(builder.gep(block, [ir.Constant(_WORD, group)]), align=1)
        return _call(builder, "llvm.bswap.v4i32", words)
    first, second, third, last = before
    seventh = builder.shuffle_vector(third, last, _vector((1, 2, 3, 4)))
    mixed = builder.add(_call(builder, "llvm.x86.sha256msg1", first, second), seventh)
    return _call(builder, "llvm.x86.sha256msg2", mixed, last)


def _vector(numbers: Sequence[int]) -> Any:
    return ir.Constant(_FOUR, [ir.Constant(_WORD, number) for number in numbers])


def _call(builder: Any, name: str, *vectors: Any) -> Any:
    kind = ir.FunctionType(_FOUR, [_FOUR] * len(vectors))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), vectors)  # type: ignore[no-untyped-call]


_take: Final = cast(Callable[[int, int], None], intrinsic(_compress))


@compiled
def _hash_all(addresses: Ints, lengths: Ints, found: Digests, initial: npt.NDArray[np.uint32], places: Ints) -> None:
    state, last = np.empty(8, np.uint32), np.empty(2 * _BLOCK_BYTES, np.uint8)
    at_state, at_last, target = state.ctypes.data, last.ctypes.data, found.ctypes.data
    for row in range(len(lengths)):
        copy(initial.ctypes.data, at_state, 32)
        start, length = addresses[row], lengths[row]
        end = start + length
        while end - start >= _BLOCK_BYTES:
            _take(at_state, start)
            start += _BLOCK_BYTES
        size = _fill(start, end - start, length, at_last)
        for at in range(0, size, _BLOCK_BYTES):
            _take(at_state, at_last + at)
        for place in places:
            put(target, four_bytes(at_state + 4 * place), 4)
            target += 4


@compiled
def _fill(rest: int, count: int, length: int, last: int) -> int:
    """Write the rest of a string, and its length, to address `last`; return how long that is, one block or two."""
    size = _BLOCK_BYTES if count < _BLOCK_BYTES - _LENGTH_BYTES else 2 * _BLOCK_BYTES
    for at in range(0, size, 8):
        store(last + at, 0)
    copy(rest, last, count)
    put(last + count, _END, 1)
    put(last + size - _LENGTH_BYTES, 8 * length, 8)
    return size


digests([b""])  # loads the compiled code at import, rather than at the first use
