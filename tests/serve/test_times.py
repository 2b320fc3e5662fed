"""Times of the page, in the zone that its visitor has chosen, and the colours of volume."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import expect

from mdp.local import LocalStack
from tests.harness import empty_database
from tests.serve.market_rows import bars, store_rows
from tests.serve.visiting import LATEST, Open

TICKS = """async ([zone]) => {
    localStorage.setItem('mdp-zone', zone);
    const { tick } = await import('/static/clock.js?' + zone);
    return [[0, 2], [0, 1], [1, 3], [61, 4]].map(([seconds, kind]) =>
        tick(Date.UTC(2025, 9, 26) + seconds * 1000, kind, 1000));
}"""


@pytest.fixture(scope="module")
def database(stack: LocalStack) -> Iterator[str]:
    with empty_database(stack.postgres.conninfo()) as conninfo:
        # Over the hour that New York has twice: 05:59:30 UTC is 01:59:30, and 06:00 is 01:00 again.
        store_rows(conninfo, bars("SPY", "2025-11-02T05:59:30Z", 60, 1))
        yield conninfo


def test_times_are_utc_until_another_zone_is_chosen_which_is_remembered(visit: Open) -> None:
    page = visit()
    first = page.locator("#bars tr").filter(has_text="06:00:29")
    expect(first).to_be_visible()
    page.locator("#zone").select_option("America/New_York")
    expect(page.locator(LATEST)).to_contain_text("01:00:29")
    expect(page.locator(".zone").first).to_have_text("America/New_York")
    expect(page.locator("#legend")).to_contain_text("01:00:29")
    page.reload()
    expect(page.locator(LATEST)).to_contain_text("01:00:29")


def test_the_zone_of_the_device_is_offered_first(visit: Open) -> None:
    page = visit(timezone_id="Asia/Dubai")
    page.locator("#zone").select_option("Asia/Dubai (here)")
    expect(page.locator(LATEST)).to_contain_text("10:00:29")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", ["26 Oct", "Oct", "00:00", "00:01:01"]),
        ("Asia/Kolkata", ["26 Oct 05:30", "26 Oct 05:30", "05:30", "05:31:01"]),  # the library's midnight is UTC's
        ("Atlantis/Nowhere", ["26 Oct", "Oct", "00:00", "00:01:01"]),
    ],
)
def test_marks_of_the_axis_say_what_the_clock_says_there(visit: Open, zone: str, expected: list[str]) -> None:
    assert visit().evaluate(TICKS, [zone]) == expected


def test_volume_has_the_colour_of_its_bar(visit: Open) -> None:
    page = visit()
    picture = Image.open(io.BytesIO(page.locator("#chart").screenshot())).convert("RGB")
    colours = picture.getcolors(picture.width * picture.height)
    assert colours is not None
    drawn = {colour for _, colour in colours}
    for way in ("up", "down"):
        text = page.evaluate(
            "(way) => getComputedStyle(document.documentElement).getPropertyValue(`--volume-${way}`)", way
        )
        assert tuple(int(part) for part in re.findall(r"\d+", text)) in drawn
