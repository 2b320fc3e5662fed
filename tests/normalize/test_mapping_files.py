"""Mistakes in the files of mappings: each is one line that names the file, the key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import MdpError
from normalize.feed import Feed
from normalize.normalizer import Normalizer

VALID = """
type: trades/v2
event_time: time
fields: { symbol: s, price: p, size: q }
"""


ACME = Feed("acme")


def load(folder: Path, text: str, feed: Feed = ACME) -> Normalizer:
    file = folder / "mapping.yaml"
    file.write_text(text, encoding="utf-8")
    return Normalizer.of_file(file, feed)


def test_a_file_holds_one_mapping_or_several(tmp_path: Path) -> None:
    assert [kind.id for kind in load(tmp_path, VALID).kinds] == ["trades/v2"]
    several = """
- { type: utp://schemas/quotes/v2, event_time: t, fields: { symbol: s, bid: b } }
- { type: trades/v2, event_time: t, where: { k: t }, fields: { symbol: s, price: p, size: q } }
- { type: quotes/v2, event_time: t, fields: { symbol: s, ask: a } }
"""
    assert [kind.id for kind in load(tmp_path, several).kinds] == ["quotes/v2", "trades/v2"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "expected a mapping with a type, or a list of mappings"),
        ("[]", "expected a mapping with a type, or a list of mappings"),
        ("type: [", "not YAML"),
        ("- 1", "mapping 1: Input should be a valid dictionary or instance of MappingConfig"),
        (VALID.replace("trades/v2", "trade/v2"), r"no message type is called 'trade/v2'; did you mean trades/v2\?"),
        (VALID.replace("trades/v2", "bars/v1"), "bars/v1 is sent without an envelope"),
        (VALID.replace("type:", "kind:"), "kind is not a known key"),
        (VALID.replace("event_time: time", ""), "event_time is missing: every message has one"),
        (VALID.replace("event_time: time", "event_time: { pth: t }"), r"event_time\.pth is not a known key.*path\?"),
        (VALID.replace("event_time: time", "event_time: { path: t, unit: h }"), r"event_time\.unit: Input should be"),
        (VALID.replace("size: q", ""), "fields lacks size, which every message of trades/v2 has"),
        (
            VALID.replace("size: q", "size: q, prize: p"),
            r"fields\.prize: trades/v2 has no such field; did you mean",
        ),
        (VALID.replace("size: q", "size: q, size: r"), "size comes twice"),
        (VALID.replace("size: q", "size: a..b"), r"'a\.\.b' is not a path"),
        (VALID.replace("size: q", "size: ^q"), "without `each` paths begin at the whole message: leave out"),
        (VALID.replace("size: q", "size: 7"), r"fields\.size: Input should be"),
        (VALID.replace("size: q", "size: {}"), r"fields\.size: give it a path or a value, and one of them only"),
        (VALID.replace("size: q", "size: { path: q, value: 1 }"), "give it a path or a value, and one of them only"),
        (VALID.replace("size: q", "size: { value: 1, scale: 2 }"), "values, scale and unit are for a path"),
        (VALID.replace("size: q", "size: { value: -1 }"), r"fields\.size\.value: Expected `float` >= 0"),
        (
            VALID.replace("size: q", "size: { path: q, scale: 0 }"),
            r"fields\.size\.scale: Input should be greater",
        ),
        (
            VALID.replace("size: q", "size: { path: q, unit: ms }"),
            r"fields\.size\.unit is for times, and size is",
        ),
        (
            VALID.replace("symbol: s", "symbol: { path: s, scale: 2 }"),
            r"fields\.symbol\.scale is for numbers, and symbol is a text",
        ),
        (
            VALID.replace("size: q", "size: q, side: { path: m, values: { b: bought } }"),
            r"fields\.side\.values has 'bought', and side is buy or sell",
        ),
        (f"{VALID}\njq: .", "give it one of fields, jq, python"),
        ("type: trades/v2", "give it one of fields, jq, python"),
        ("{ type: trades/v2, jq: ., sequence: s }", "jq returns it with the message: leave out sequence"),
        ("{ type: trades/v2, jq: '.[' }", "jq is not a valid program: "),
        ("{ type: trades/v2, python: nowhere }", "'nowhere': write it as module:function"),
        ("{ type: trades/v2, python: 'nowhere_to_be:found' }", "cannot import nowhere_to_be:found"),
        ("{ type: trades/v2, python: 'json:nothing' }", "cannot import json:nothing"),
        ("{ type: trades/v2, python: 'json:__name__' }", "python: json:__name__ is no function"),
        (VALID.replace("fields:", "where: { a..b: 1 }\nfields:"), r"'a\.\.b' is not a path"),
        (VALID.replace("fields:", "where: { a: { b: 1 } }\nfields:"), r"where\.a"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(MdpError, match=error) as raised:
        load(tmp_path, text)
    assert raised.value.line.startswith(f"{tmp_path / 'mapping.yaml'}: ")
    assert "\n" not in raised.value.line


@pytest.mark.parametrize(
    ("feed", "error"),
    [(Feed(""), "source_id '': Expected `str` of length >= 1"), (Feed("a", region="x" * 300), "region 'x+': Expected")],
)
def test_a_feed_that_no_envelope_can_name_is_refused(tmp_path: Path, feed: Feed, error: str) -> None:
    with pytest.raises(MdpError, match=error):
        load(tmp_path, VALID, feed)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MdpError, match=r"gone\.yaml: cannot read the mapping: No such file or directory"):
        Normalizer.of_file(tmp_path / "gone.yaml", ACME)
