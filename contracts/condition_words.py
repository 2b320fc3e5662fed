"""Words that mean something of themselves in the condition of a rule, so that no feature can have them for a name."""

from __future__ import annotations

from typing import Final

QUERY_WORDS: Final = ("select", "from", "with", "values", "table")  # not even in quotes: a condition holds no query
CONDITION_WORDS: Final = frozenset(
    {*QUERY_WORDS, "true", "false", "null", "not", "all", "any", "some", "distinct"}
    | {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
)
