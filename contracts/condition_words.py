"""Reserved words of rules' conditions, which cannot be names of features."""

from __future__ import annotations

from typing import Final

QUERY_WORDS: Final = ("select", "from", "with", "values", "table")  # not even quoted: a condition holds no query
CONDITION_WORDS: Final = frozenset(
    {*QUERY_WORDS, "true", "false", "null", "not", "all", "any", "some", "distinct"}
    | {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
)
