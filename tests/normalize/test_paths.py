"""Paths, and the reading of what they lead to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from normalize.paths import MappingError, Path, walk
from normalize.picking import Picker

NAMES = st.sampled_from(["a", "b", "data", "odd name", "f0", "class", "1"])
STEPS = st.lists(NAMES | st.integers(0, 2), min_size=1, max_size=4).map(tuple)
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "é"]) | st.floats(-9, 9)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("price", ("price",)),
        ("data.px", ("data", "px")),
        ("bids[0][1]", ("bids", 0, 1)),
        ("[3]", (3,)),
        ("[1].a", (1, "a")),
        ('"odd.name".px', ("odd.name", "px")),
        (r'"a\"b"', ('a"b',)),
        ("é", ("é",)),
    ],
)
def test_a_path_is_names_with_dots_and_places_in_brackets(text: str, steps: tuple[str | int, ...]) -> None:
    assert Path.parse(text) == Path(steps)
    assert Path.parse(f"^{text}") == Path(steps, is_outer=True)


@pytest.mark.parametrize(
    "text", ["", "^", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "[0]a", "a b", 'a"b"', "a.[0]", '"a']
)
def test_what_is_no_path_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(MappingError, match=r"is not a path: write one such as price, data\.px or bids\[0\]\[1\]"):
        Path.parse(text)


def named(paths: list[Path]) -> dict[str, Path]:
    return {f"p{number}": path for number, path in enumerate(paths)}


@given(DOCUMENTS, st.lists(STEPS, max_size=4))
def test_reading_what_paths_lead_to_finds_what_walking_finds(document: Any, paths: list[tuple[str | int, ...]]) -> None:
    (found,) = Picker(named([Path(steps) for steps in paths])).read(json.dumps(document).encode())
    assert list(found.values()) == [walk(document, steps) for steps in paths]


@given(DOCUMENTS, STEPS, st.lists(st.builds(Path, STEPS, st.booleans()), max_size=4))
@example({"a": [False]}, ("a", 0), [])
@example({"a": [[{"b": 1}]]}, ("a", 0), [Path(("b",))])
def test_items_of_a_list_are_read_each_with_what_is_said_of_all(
    document: Any, each: tuple[str | int, ...], paths: list[Path]
) -> None:
    picker, items = Picker(named(paths), Path(each)), walk(document, each)
    text = json.dumps(document).encode()
    if not isinstance(items, list):
        with pytest.raises(ValueError, match="is not a list"):
            picker.read(text)
        return
    assert picker.read(text) == [
        {name: walk(document if path.is_outer else item, path.steps) for name, path in named(paths).items()}
        for item in items
    ]


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": nan}', b"\xff", b'{"a": "\xff"}', b"{} {}"])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        Picker({"a": Path(("a",))}).read(text)
