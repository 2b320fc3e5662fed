"""SipHash-1-3 under a key that no sender knows: without it nobody can craft collisions that make a hash table slow.

J.-P. Aumasson and D. J. Bernstein, SipHash: a fast short-input PRF (2012). A message is a sequence of words. Its length
is not appended, so a message must begin with its length, unless all have the same.
"""

from __future__ import annotations

import secrets
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from native.jit import compiled

Key: TypeAlias = npt.NDArray[np.uint64]  # two words
State: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

_STATE = tuple(map(np.uint64, (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)))
_11, _13, _16, _17, _21, _32, _43, _47, _48, _51 = map(np.uint64, (11, 13, 16, 17, 21, 32, 43, 47, 48, 51))
_END, _SECOND, _WIDE = map(np.uint64, (0xFF, 0xDD, 0xEE))


def new_key() -> Key:
    """A random key."""
    return np.frombuffer(bytearray(secrets.token_bytes(16)), np.uint64)  # writable, as it is when unpickled


@compiled
def begin(key: Key) -> State:
    """The initial state for one hash of a message."""
    return key[0] ^ _STATE[0], key[1] ^ _STATE[1], key[0] ^ _STATE[2], key[1] ^ _STATE[3]


@compiled
def begin_two(key: Key) -> State:
    """The initial state for two hashes of a message."""
    v0, v1, v2, v3 = begin(key)
    return v0, v1 ^ _WIDE, v2, v3


@compiled
def absorb(state: State, word: np.uint64) -> State:
    """The state after the next word."""
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _round((v0, v1, v2, v3 ^ word))
    return v0 ^ word, v1, v2, v3


@compiled
def hash_of(state: State) -> np.uint64:
    """The hash of all words so far."""
    v0, v1, v2, v3 = state
    return _folded((v0, v1, v2 ^ _END, v3))[0]


@compiled
def two_hashes_of(state: State) -> tuple[np.uint64, np.uint64]:
    """Two hashes of all words so far."""
    v0, v1, v2, v3 = state
    high, (v0, v1, v2, v3) = _folded((v0, v1, v2 ^ _WIDE, v3))
    return high, _folded((v0, v1 ^ _SECOND, v2, v3))[0]


@compiled
def _folded(state: State) -> tuple[np.uint64, State]:
    v0, v1, v2, v3 = _round(_round(_round(state)))
    return v0 ^ v1 ^ v2 ^ v3, (v0, v1, v2, v3)


@compiled
def _round(state: State) -> State:
    v0, v1, v2, v3 = state
    v0, v2 = v0 + v1, v2 + v3
    v1, v3 = ((v1 << _13) | (v1 >> _51)) ^ v0, ((v3 << _16) | (v3 >> _48)) ^ v2
    v0 = (v0 << _32) | (v0 >> _32)
    v2, v0 = v2 + v1, v0 + v3
    v1, v3 = ((v1 << _17) | (v1 >> _47)) ^ v2, ((v3 << _21) | (v3 >> _43)) ^ v0
    return v0, v1, (v2 << _32) | (v2 >> _32), v3
