"""The tables have the columns that the declarations of their messages say."""

import pytest

from contracts.bar import BAR_V1
from contracts.columns import table_columns
from contracts.message import MessageType
from contracts.signal import SIGNAL_V1
from sinks.merge import CAUSE
from sinks.schema.migrate import migrate
from tests.sinks.database_rows import select


@pytest.mark.parametrize("kind", [BAR_V1, SIGNAL_V1], ids=lambda kind: kind.id)
def test_a_table_has_the_columns_of_its_message_and_those_that_say_what_caused_a_row(
    database: str, kind: MessageType
) -> None:
    migrate(database, [])
    found = select(
        database,
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
        f" WHERE attrelid = '{kind.table}'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    types = {name: _short(kind) for name, kind in found}
    declared = {column.name: column.type for column in table_columns(kind.struct) if column.name != "ver"}
    assert {name: types[name] for name in declared} == declared
    assert set(types) - set(declared) == set(CAUSE) - set(declared)


def _short(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz")
