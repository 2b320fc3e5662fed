"""Declarations: what they are read as, and which are refused, in one line, where they are written."""

from typing import Annotated, Any, Literal

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from msgspec import Meta

from contracts.columns import arrow_schema, polars_schema, table_columns
from contracts.fields import ContractError, fields_of
from contracts.message import MessageType
from contracts.values import Count32, Int64, Price, Text, Time, about

Pairs = Annotated[list[tuple[Price, Price]], Meta(max_length=9)]


class Inner(msgspec.Struct):
    a: Text
    b: Int64 | None = None


class Everything(msgspec.Struct, kw_only=True):
    """A field of each kind."""

    text: Annotated[Text, about("A text.")]
    at: Time
    price: Annotated[Price, about("A price.", "USD")] | None = None
    number: Int64
    short: Count32
    is_on: bool
    side: Literal["buy", "sell"] | None = None
    details: dict[str, Any] | None = None
    words: Annotated[list[Text], Meta(max_length=3)]
    pairs: Pairs
    inner: Inner | None = None


def test_a_declaration_gives_columns_of_frames() -> None:
    columns: dict[str, pl.DataType | type[pl.DataType]] = {
        "text": pl.String,
        "at": pl.Int64,
        "price": pl.Float64,
        "number": pl.Int64,
        "short": pl.Int64,
        "is_on": pl.Boolean,
        "side": pl.String,
        "details": pl.String,
        "words": pl.List(pl.String),
        "pairs": pl.List(pl.Array(pl.Float64, 2)),
        "inner": pl.Struct({"a": pl.String, "b": pl.Int64}),
    }
    assert polars_schema(Everything) == pl.Schema(columns)


def test_a_declaration_gives_columns_of_arrow() -> None:
    schema = arrow_schema(Everything)
    assert schema.field("at").type == pa.timestamp("ns", "UTC")
    assert schema.field("pairs").type == pa.list_(pa.list_(pa.float64(), 2))
    assert schema.field("inner").type == pa.struct([("a", pa.string()), ("b", pa.int64())])
    assert schema.names == [field.name for field in fields_of(Everything)]


def test_a_declaration_gives_columns_of_tables() -> None:
    columns = {column.name: (column.type, column.nullable) for column in table_columns(Everything)}
    assert columns == {
        "text": ("text", False),
        "at": ("timestamptz", False),
        "price": ("double precision", True),
        "number": ("bigint", False),
        "short": ("integer", False),
        "is_on": ("boolean", False),
        "side": ("text", True),
        "details": ("jsonb", True),
        "words": ("text[]", False),
        "pairs": ("double precision[]", False),
        "inner_a": ("text", True),
        "inner_b": ("bigint", True),
    }


def test_fields_say_what_they_mean_and_of_which_unit_they_are() -> None:
    fields = {field.name: field for field in fields_of(Everything)}
    assert (fields["price"].unit, fields["price"].description) == ("USD", "A price.")
    assert [name for name, field in fields.items() if field.required] == [
        "text",
        "at",
        "number",
        "short",
        "is_on",
        "words",
        "pairs",
    ]
    assert (fields["side"].type_text, fields["words"].type_text) == ("buy or sell", "list of text")
    assert fields["pairs"].type_text == "list of [number, number]"


def declared(annotation: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Declared", [("x", annotation)])


@pytest.mark.parametrize(
    ("struct", "error"),
    [
        (declared(str), "Declared.x is a text of any length"),
        (declared(int), "Declared.x is an integer of any size"),
        (declared(Annotated[int, Meta(ge=0, le=2**64)]), "Declared: Integer bounds constraints"),
        (declared(list[Text]), "Declared.x is a list of any length"),
        (declared(Annotated[list[str], Meta(max_length=2)]), r"Declared.x\[\] is a text of any length"),
        (declared(Int64 | Text), "Declared.x can be of several types"),
        (declared(bytes), "Declared.x is of a type that no column holds: BytesType"),
        (declared(tuple[Price, Text]), "Declared.x has values of several kinds"),
        (declared(Annotated[list[Time], Meta(max_length=2)]), "is a time inside of another field"),
        (declared(Annotated[list[Inner], Meta(max_length=2)]), "is a struct inside of another field"),
        (msgspec.defstruct("Renamed", [("a_b", Text)], rename="camel"), "Renamed.a_b is aB in JSON"),
    ],
)
def test_what_no_message_can_have_is_refused(struct: type[msgspec.Struct], error: str) -> None:
    with pytest.raises(ContractError, match=error):
        fields_of(struct)


class Plain(msgspec.Struct):
    """Something."""

    x: Text


class Undescribed(msgspec.Struct):
    x: Text


class Empty(msgspec.Struct):
    """Nothing."""


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "Trades"}, "'Trades' is no name of a message type"),
        ({"name": "gex/"}, "is no name"),
        ({"version": "2"}, "'2' is no version"),
        ({"struct": Undescribed}, "Undescribed has no docstring"),
        ({"struct": Empty}, "has no fields"),
        ({"examples": ()}, "has no example"),
    ],
)
def test_a_type_that_lacks_something_is_refused(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ContractError, match=error):
        MessageType(**{"name": "plain", "version": "1.0.0", "struct": Plain, "examples": ({"x": "a"},), **changes})
