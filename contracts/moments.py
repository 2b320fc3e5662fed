"""Parses points in time on the command line and in configs to nanoseconds since the epoch.

    2025-10-24T14:02:01Z             a time with its offset, also in forms of other programs: 2025-10-24 14:02+02
    2025-10-24 10:02                 a local time, which needs a zone
    2025-10-24, today, yesterday     the first moment of a day in the zone; UTC by default
    now, now-90m, -90m               this moment, or one a duration before it

The name of its zone may follow a day or a time: `today America/New_York`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from contracts.duration import parse_duration
from contracts.timestamps import parse_timestamp

# A date; hours and minutes, seconds, a fraction; UTC, or hours and minutes of an offset. As Polars reads it, too.
TIME: Final = (
    r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(?:\.(\d{1,9}))?)?"
    r" ?(?:(Z|UTC)|([+-]\d{2}):?(\d{2})?)?$"
)
_TIME: Final = re.compile(TIME, re.ASCII)
_ZONED: Final = re.compile(r"(.*\S) +(?!Z$)([A-Za-z][A-Za-z_]*(?:/[A-Za-z0-9_+-]+)*)", re.ASCII)
_DAYS_AGO: Final = {"today": 0, "yesterday": 1}


def parse_moment(text: str, now_ns: int, zone: str | None = None) -> int:
    """Nanoseconds since the epoch of `text`.

    Args:
        text: in one of the forms above.
        now_ns: this moment, nanoseconds since the epoch.
        zone: of days and times without one, by its name in the zone database.

    Raises:
        ValueError: it has none of the forms, its zone is unknown, or it exceeds 64 bits; one line.
    """
    match = _ZONED.fullmatch(text.strip())
    when, named = match.groups() if match else (text.strip(), zone)
    place = None if named is None else zone_of(named)
    if when == "now":
        return now_ns
    if when.removeprefix("now").startswith("-"):
        return now_ns - parse_duration(when.removeprefix("now")[1:])
    if when in _DAYS_AGO:
        today = datetime.fromtimestamp(now_ns // 1_000_000_000, place or UTC).date()
        return _first_of(today - timedelta(_DAYS_AGO[when]), place)
    return _written(text, when, place)


def zone_of(name: str) -> ZoneInfo:
    """Returns the zone with this name.

    Raises:
        ValueError: the zone database does not have it.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # also for the name of a folder of the database
        raise ValueError(f"{name!r} is not a time zone: name one such as UTC or America/New_York") from None


def _written(text: str, when: str, place: ZoneInfo | None) -> int:
    match = _TIME.fullmatch(when)
    try:
        if match is None:
            raise ValueError(text)
        day, minutes, seconds, fraction, utc, hours_off, minutes_off = match.groups()
        local = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{seconds or ':00'}")
        if utc or hours_off:
            return _nanoseconds(local, fraction, "Z" if utc else f"{hours_off}:{minutes_off or '00'}")
        if minutes is None:
            return _first_of(local.date(), place)
        return _nanoseconds(_in_utc(local, place, text), fraction, "Z")
    except _Unplaced:
        raise
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time: write one such as 2025-10-24T14:02:01Z, 2025-10-24, today, yesterday or now-1h"
        ) from None


class _Unplaced(ValueError):  # noqa: N818 - says what is wrong
    """A local time without a unique moment."""


def _in_utc(local: datetime, place: ZoneInfo | None, text: str) -> datetime:
    if place is None:
        raise _Unplaced(f"{text!r} has no zone: end it with Z, such as 2025-10-24T14:02:01Z, or name its zone")
    placed = local.replace(tzinfo=place)
    if placed.utcoffset() != placed.replace(fold=1).utcoffset():
        raise _Unplaced(f"{text!r} is a time that is ambiguous or missing in {place.key}, when the clocks were changed")
    return placed.astimezone(UTC)


def _first_of(day: date, place: ZoneInfo | None) -> int:
    """The first moment of a day; if clocks change at midnight, the first of two midnights, or after the gap."""
    return _nanoseconds(datetime.combine(day, time(), place or UTC).astimezone(UTC), None, "Z")


def _nanoseconds(moment: datetime, fraction: str | None, offset: str) -> int:
    return parse_timestamp(f"{moment.replace(tzinfo=None).isoformat()}.{fraction or '0'}{offset}")
