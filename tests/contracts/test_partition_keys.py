import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest

from contracts.partition_keys import part_name, partition_key, partition_of, siphash13

PARTITIONS = range(1024)
DIGEST = "9d34fa4d649009ce7e1f468a74fde5b0656961441be18b5d7269bd84498342b7"  # of all their keys


def siphash_of(message: bytes) -> int:
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    (found,) = siphash13(*np.frombuffer(padded, "<u8").reshape(-1, 1))
    return int(found)


def rust_hash(text: str) -> int:
    """That of `DefaultHasher::new()`, as Bytewax uses it."""
    return siphash_of(text.encode() + b"\xff")


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("", 0x30406EA523C53DEF),
        ("0", 0xFC6647014FB554E5),
        ("00007", 0xD9B098E9BEF86594),
        ("SPY", 0x61FFD5ECD6B11BC8),
        ("00000-0021", 0xAF49094E7E94A5D8),
        ("partition", 0x87234CC61F69DA24),
        ("Größe ≤ 1 MB, and longer than three blocks", 0x5805FBA17366D6F5),
    ],
)
def test_texts_hash_as_in_rust(text: str, hashed: int) -> None:
    assert rust_hash(text) == hashed


def test_bytes_of_any_length_hash_as_in_cpython_whose_hash_is_the_same_with_the_key_of_seed_zero() -> None:
    chance = random.Random(7)
    messages = [chance.randbytes(length) for length in range(1, 300)]
    program = f"print([hash(m) for m in {messages}])"
    hashes = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
    )
    assert [siphash_of(message) for message in messages] == [hashed % 2**64 for hashed in eval(hashes.stdout)]


@pytest.fixture(scope="module")
def keys() -> list[str]:
    return [partition_key(partition) for partition in PARTITIONS]


def test_the_hash_of_each_key_names_the_worker_of_its_partition_of_one_to_eight(keys: list[str]) -> None:
    assert len(set(keys)) == len(PARTITIONS)
    hashes = [rust_hash(key) for key in keys]
    for workers in range(1, 9):
        assert [hashed % workers for hashed in hashes] == [partition % workers for partition in PARTITIONS]


def test_names_and_keys_say_which_partition_they_stand_for_and_are_ordered_like_it(keys: list[str]) -> None:
    names = [part_name(partition) for partition in PARTITIONS]
    for texts in (names, keys):
        assert [partition_of(text) for text in texts] == list(PARTITIONS)
        assert sorted(texts) == texts


def test_keys_are_those_under_which_state_was_saved(keys: list[str]) -> None:
    assert keys[:4] == ["00000-0021", "00001-0051", "00002-0263", "00003-0090"]
    assert hashlib.sha256(" ".join(keys).encode()).hexdigest() == DIGEST
