"""Times as people write them, beside what Python's calendar makes of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.moments import parse_moment
from contracts.timestamps import parse_timestamp
from transports.kafka.config import KafkaConfig

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
NEW_YORK = "America/New_York"
NOW = parse_timestamp("2025-10-25T02:30:00.5Z")  # the 24th, 22:30, in New York


def ns(text: str) -> int:
    return parse_timestamp(text)


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2025-10-24T14:02:01.123456789Z", None, "2025-10-24T14:02:01.123456789Z"),
        ("2025-10-24T14:02:01+02:00", NEW_YORK, "2025-10-24T12:02:01Z"),
        ("2025-10-24 14:02+0200", None, "2025-10-24T12:02:00Z"),
        ("2025-10-24 10:02", NEW_YORK, "2025-10-24T14:02:00Z"),
        ("2025-10-24 10:02 America/New_York", "Asia/Tokyo", "2025-10-24T14:02:00Z"),
        ("2025-10-24", None, "2025-10-24T00:00:00Z"),
        ("2025-10-24", NEW_YORK, "2025-10-24T04:00:00Z"),
        ("2025-01-24", NEW_YORK, "2025-01-24T05:00:00Z"),
        ("today", None, "2025-10-25T00:00:00Z"),
        ("today", NEW_YORK, "2025-10-24T04:00:00Z"),
        ("today America/New_York", None, "2025-10-24T04:00:00Z"),
        ("yesterday", None, "2025-10-24T00:00:00Z"),
        ("yesterday UTC", NEW_YORK, "2025-10-24T00:00:00Z"),
        ("now", NEW_YORK, "2025-10-25T02:30:00.5Z"),
        ("-1h", NEW_YORK, "2025-10-25T01:30:00.5Z"),
        ("now-1h", None, "2025-10-25T01:30:00.5Z"),
        ("-500ms", None, "2025-10-25T02:30:00Z"),
        ("-7d", None, "2025-10-18T02:30:00.5Z"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"),  # it began at one o'clock
        ("2025-11-02", "America/Havana", "2025-11-02T04:00:00Z"),  # it had midnight twice
    ],
)
def test_a_moment_is_that_of_its_zone(text: str, zone: str | None, moment: str) -> None:
    assert parse_moment(text, NOW, zone) == ns(moment)


def test_yesterday_begins_a_day_before_today_though_the_clocks_were_changed_in_between() -> None:
    after = ns("2025-11-03T12:00:00Z")  # the 2nd had 25 hours
    assert parse_moment("today", after, NEW_YORK) - parse_moment("yesterday", after, NEW_YORK) == 25 * HOUR


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("tomorrow", None, "'tomorrow' is not a time"),
        ("", None, "'' is not a time"),
        ("24.10.2025", None, "is not a time"),
        ("2025-02-30", None, "is not a time"),
        ("2025-10-24T25:00Z", None, "is not a time"),
        ("9999-12-31", "Asia/Tokyo", "is not a time"),
        ("0001-01-01", "Asia/Tokyo", "is not a time"),
        ("2025-10-24T14:02:01", None, "has no zone"),
        ("2025-11-02 01:30", NEW_YORK, "that is ambiguous or missing in America/New_York"),
        ("2025-03-09 02:30", NEW_YORK, "that is ambiguous or missing in America/New_York"),
        ("today Mars/Olympus", None, "'Mars/Olympus' is not a time zone"),
        ("today America", None, "'America' is not a time zone"),
        ("today", "../../etc/passwd", "is not a time zone"),
        ("-1", None, "is not a duration"),
        ("-1 h", None, "is no"),
        ("now+1h", None, "is not a time"),
        ("now-", None, "is not a duration"),
    ],
)
def test_what_is_no_moment_is_refused_in_one_line(text: str, zone: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_moment(text, NOW, zone)
    assert "\n" not in str(refused.value)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.sampled_from(["today", "yesterday"]))
def test_a_day_begins_when_the_calendar_of_its_zone_says(moment: datetime, day: str) -> None:
    now = round(moment.replace(tzinfo=UTC).timestamp()) * SECOND
    found = datetime.fromtimestamp(parse_moment(day, now, NEW_YORK) / SECOND, ZoneInfo(NEW_YORK))
    there = datetime.fromtimestamp(now / SECOND, ZoneInfo(NEW_YORK)).date()
    assert found.date() == there - timedelta(days=day == "yesterday")
    assert (found.hour, found.minute, found.second) == (0, 0, 0)


def test_a_flow_may_begin_at_a_time_relative_to_now_which_is_settled_once() -> None:
    before = time.time_ns()
    config = KafkaConfig(start="-1h")
    assert before <= parse_timestamp(config.start) + HOUR <= time.time_ns()
    assert KafkaConfig(start=config.start).start == config.start
    assert KafkaConfig(start="2025-10-24 America/New_York").start == "2025-10-24T04:00:00.000000Z"


def test_a_start_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'newest' is not a time"):
        KafkaConfig(start="newest")
