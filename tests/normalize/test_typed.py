"""Messages that are read by their types: the same as those that are mapped field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalize.declared import DeclaredMapper
from normalize.mapping import parse_mapping
from normalize.normalizer import Normalizer
from normalize.typed import TypedReader
from tests.normalize.test_normalizer import ANY, DEEP, FEED, PLAIN, TIMES, arrivals, raw_of

ODD = st.sampled_from([-0.0, 0, 71.0, 1e300, 2**63, 2**64, 10**30, "null", "nan", "1e5", "71.0", "-0", " 1", "1_0"])
VALUES = st.one_of(ANY, ODD, TIMES, st.sampled_from(["b", "s", 7, 1.5, "SPY"]))
TRADES = st.fixed_dictionaries({}, optional=dict.fromkeys(("t", "seq", "own", "s", "p", "q", "m", "id"), VALUES))
SIDES = st.one_of(VALUES, st.fixed_dictionaries({}, optional={"p": VALUES}))
QUOTES = st.fixed_dictionaries({}, optional={**dict.fromkeys("tsm", VALUES), "a": SIDES, "b": SIDES})
USUAL = {"t": "2025-11-10T17:23:00Z", "s": "SPY", "p": "1.5", "q": 2, "m": "b", "id": 7}


def field_by_field(mapping: dict[str, Any]) -> Normalizer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TypedReader, "of", lambda *_: None)
        return Normalizer([parse_mapping(mapping)], FEED)


@pytest.mark.parametrize(
    ("mapping", "documents"),
    [(PLAIN, TRADES | st.builds(lambda odd: USUAL | odd, TRADES)), (DEEP, st.fixed_dictionaries({"d": QUOTES}))],
    ids=["plain", "deep"],
)
@given(st.data())
def test_any_values_become_the_same_and_are_refused_for_the_same_reasons(
    mapping: dict[str, Any], documents: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    texts = raw_of(data.draw(st.lists(documents, max_size=8)))
    typed = Normalizer([parse_mapping(mapping)], FEED).normalize(texts, arrivals(len(texts)))
    plain = field_by_field(mapping).normalize(texts, arrivals(len(texts)))
    assert typed == plain


def test_few_odd_messages_among_many_are_mapped_by_themselves() -> None:
    odd = [{**USUAL, "m": "x"}, {**USUAL, "id": 1.5}, {**USUAL, "p": "x"}, {**USUAL, "seq": "71"}, []]
    texts = raw_of([odd[at // 100] if at % 100 == 0 else USUAL | {"id": at} for at in range(500)])
    result = Normalizer([parse_mapping(PLAIN)], FEED).normalize(texts, arrivals(len(texts)))
    assert [(one.record, one.reason) for one in result.rejected] == [
        (0, "mapping"),
        (100, "contract"),
        (200, "contract"),
        (400, "contract"),
    ]
    (group,) = result.accepted
    assert [json.loads(value)["payload"]["trade_id"] for value in group.values[:2]] == ["1", "2"]
    assert group.records == [at for at in range(500) if at not in {0, 100, 200, 400}]


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": {**PLAIN["fields"], "size": {"path": "q", "scale": 0.001}}},
        {"fields": {**PLAIN["fields"], "symbol": "^s"}, "each": "data"},
        {"fields": {**PLAIN["fields"], "price": "p[0]"}},
        {"fields": {**PLAIN["fields"], "size": "p"}},
    ],
    ids=["scale", "each", "a place in a list", "one path twice"],
)
def test_what_needs_more_than_types_is_mapped_field_by_field(changes: dict[str, Any]) -> None:
    mapping = parse_mapping({**PLAIN, **changes})
    mapper = Normalizer([mapping], FEED)._mappers[0]
    assert isinstance(mapper, DeclaredMapper)
    assert mapper._typed is None
