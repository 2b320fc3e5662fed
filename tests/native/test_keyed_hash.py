"""The hash is SipHash-1-3, of one output and of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.partition_keys import Words, siphash13
from native.jit import compiled
from native.keyed_hash import Key, absorb, begin, begin_two, hash_of, new_key, two_hashes_of

MESSAGES: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5)
NO_KEY = np.zeros(2, np.uint64)
REFERENCE_KEY = np.arange(16, dtype=np.uint8).view(np.uint64)


@compiled
def hash_all(words: Words, key: Key, found: Words) -> None:
    one, two = begin(key), begin_two(key)
    for word in words:
        one, two = absorb(one, word), absorb(two, word)
    found[0] = hash_of(one)
    found[1], found[2] = two_hashes_of(two)


def hashes(message: Sequence[int], key: Key) -> list[int]:
    """One hash, and two of another kind."""
    found = np.zeros(3, np.uint64)
    hash_all(np.array(message, np.uint64), key, found)
    return [int(each) for each in found]


@given(MESSAGES)
def test_without_a_key_it_is_that_of_rust_and_python(message: list[int]) -> None:
    (expected,) = siphash13(*np.array(message, np.uint64).reshape(-1, 1))
    assert hashes(message, NO_KEY)[0] == expected


def test_with_a_key_it_is_that_of_the_reference_implementation() -> None:
    nothing = [0]  # an empty message, with its length as the last byte
    one, high, low = (each.to_bytes(8, "little").hex() for each in hashes(nothing, REFERENCE_KEY))
    assert one == "dcc40f055801acab"
    assert high + low == "e77ebcb22788a5befd62db6add303001"


@given(MESSAGES, MESSAGES)
def test_hashes_of_other_messages_and_keys_are_others(one: list[int], other: list[int]) -> None:
    key, messages = new_key(), {tuple(one), tuple(other)}
    found = [each for message in messages for each in hashes(message, key)]
    assert len(set(found)) == len(found)
    assert not set(found) & set(hashes(one, new_key()))
