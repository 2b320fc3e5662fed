"""SHA-256 of many strings, by the processor's instructions and without them, against hashlib."""

from __future__ import annotations

from hashlib import sha256 as expected

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import sha256


def hashed(strings: list[bytes]) -> list[bytes]:
    return [row.tobytes() for row in sha256.digests(strings)]


@given(st.lists(st.binary(max_size=200)))
def test_each_string_has_its_digest(strings: list[bytes]) -> None:
    assert hashed(strings) == [expected(string).digest() for string in strings]


def test_every_length_around_the_ends_of_blocks_and_a_long_string() -> None:
    strings = [bytes(range(256))[:length] for length in range(200)] + [b"x" * 1_000_003]
    assert hashed(strings) == [expected(string).digest() for string in strings]


def test_a_processor_without_the_instructions_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = [b"", b"abc", b"x" * 77]
    found = hashed(strings)
    monkeypatch.setattr(sha256, "HAS_INSTRUCTIONS", False)
    assert hashed(strings) == found == [expected(string).digest() for string in strings]
    assert sha256.digests([]).shape == (0, sha256.DIGEST_BYTES)
