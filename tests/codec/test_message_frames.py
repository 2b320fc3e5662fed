"""Messages of every type as rows of frames and of Arrow, and back."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.messages import from_arrow, from_frame, to_arrow, to_frame
from contracts.columns import arrow_schema, polars_schema
from contracts.message import MessageType
from contracts.registry import OWN
from tests.contracts.messages_of_types import as_text, messages

EACH = pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.id)


def streamed(table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


@EACH
@settings(max_examples=50)
@given(st.data())
def test_messages_are_the_same_after_frames_and_arrow(kind: MessageType, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(messages(kind), min_size=1, max_size=4))
    sent = [kind.decode(as_text(message)) for message in drawn]
    rows = to_frame(kind, sent)
    assert rows.schema == polars_schema(kind.struct)
    table = streamed(to_arrow(kind, rows))
    assert table.schema.equals(arrow_schema(kind.struct))
    received = from_arrow(kind, table)
    assert received.equals(rows)
    assert [kind.encode(message) for message in from_frame(kind, received)] == [kind.encode(one) for one in sent]


@EACH
def test_no_messages_are_no_rows(kind: MessageType) -> None:
    rows = to_frame(kind, [])
    assert (rows.height, rows.schema) == (0, polars_schema(kind.struct))
    assert from_frame(kind, from_arrow(kind, to_arrow(kind, rows))) == []
