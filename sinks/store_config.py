"""The database's address, and how long it keeps rows."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from contracts.duration import parse_duration
from sinks.schema.hypertables import ChunkLength

EMBEDDED: Final = "embedded"
SHORTEST_POLICY: Final = timedelta(days=1)  # hourly rollups are refreshed from some hours of raw bars

_EMBEDDED: Final = re.compile(r"embedded(?:/([a-z_][a-z0-9_-]{0,62}))?")
_URL: Final = re.compile("postgres(?:ql)?://")
_SPECIAL: Final = "in a password write @ as %40, / as %2F and % as %25"
_WINDOWS: Final = 43_200  # in a chunk: rows of a series
_LONGEST_CHUNK: Final = timedelta(days=365)


class StoreConfig(BaseModel):
    """The database and, on TimescaleDB, the ages at which it compresses and drops rows. Plain PostgreSQL keeps all."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr = Field(  # a URL may hold a password
        default=SecretStr(EMBEDDED),
        description="`postgresql://user@host:5432/database`, a libpq connection string, or `embedded` for the local "
        "stack of `mdp up`; `embedded/NAME` is another database there. In the password of a URL write `@` as `%40`, "
        "`/` as `%2F` and `%` as `%25`.",
    )
    retention: str | None = Field(
        default=None,
        description="On TimescaleDB: drop rows older than this duration, at least `1d`; null keeps all.",
    )
    compress_after: str = Field(
        default="7d",
        description="On TimescaleDB: age at which chunks move to the columnstore, a duration of at least `1d`. Let it "
        "lie beyond what replays rewrite: changing compressed rows is slow.",
    )

    chunk_interval: str | None = Field(
        default=None,
        description="On TimescaleDB: the time that a new chunk holds, at least `1d`. Null takes 43,200 windows, such "
        "as a day of 2 s or a month of 1 m, at most a year and at most `store.retention`, and leaves a shorter one of "
        "another flow alone. Give sparse history chunks of months: each costs time to create and to look at.",
    )

    @field_validator("url")
    @classmethod
    def _is_connectable(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if _URL.match(text) and not (text.isprintable() and " " not in text):
            raise ValueError(f"holds a line break or a blank: take it out, or write it as %0A or %20; {_SPECIAL}")
        try:
            known = embedded_name(text) is not None or bool(conninfo_to_dict(text))
        except psycopg.ProgrammingError:
            known = False
        if not known:
            raise ValueError(
                f"neither {EMBEDDED!r} nor a URL such as postgresql://user:password@host:5432/database; {_SPECIAL}"
            )
        if _URL.match(text) and _is_cut_short(text):
            raise ValueError(f"the password ends too early, at an @ or / of its own; {_SPECIAL}")
        return url

    @field_validator("retention", "compress_after", "chunk_interval")
    @classmethod
    def _is_long_enough(cls, text: str | None) -> str | None:
        if text is not None and as_timedelta(text) < SHORTEST_POLICY:
            raise ValueError("must be 1d or longer")
        return text

    def chunk_length(self, window_ns: int) -> ChunkLength:
        """The chunk length for bars of `window_ns`."""
        if self.chunk_interval is not None:
            return ChunkLength(as_timedelta(self.chunk_interval), is_chosen=True)
        longest = min(_LONGEST_CHUNK, as_timedelta(self.retention) if self.retention else _LONGEST_CHUNK)
        length = timedelta(microseconds=_WINDOWS * window_ns // 1_000)
        return ChunkLength(min(max(length, SHORTEST_POLICY), longest), is_chosen=False)


def embedded_name(url: str) -> str | None:
    """The database of the local stack named by `embedded/NAME`; "" for its default, None for any other URL."""
    found = _EMBEDDED.fullmatch(url)
    return None if found is None else found[1] or ""


def _is_cut_short(url: str) -> bool:
    """Whether libpq would parse a part of the password as the host, as it ends the password at the first @ or /."""
    before, _, after = url.partition("://")[2].partition("@")
    if "/" in before:
        return bool(after) and "?" not in before.partition("/")[2]
    return "@" in after.partition("?")[0]


def as_timedelta(text: str) -> timedelta:
    """A duration such as 7d, to the microsecond."""
    return timedelta(microseconds=parse_duration(text) // 1_000)
