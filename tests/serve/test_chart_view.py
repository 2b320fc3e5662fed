"""Lengths of bars, history and features on the page: three days of bars of two seconds."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from mdp.local import LocalStack
from tests.harness import empty_database
from tests.serve.market_rows import bars, store_rows
from tests.serve.visiting import PHONE, SOON_MS, Open

DAYS = 3
FEATURES = """
INSERT INTO features
    (provider, symbol, "interval", ts, partition, source_topic, source_offset, source_row, rsi, momentum)
SELECT provider, symbol, "interval", window_end, 0, 'ticks', source_offset, 0, source_offset % 100,
    CASE WHEN source_offset > 10 THEN 0.5 END
FROM bars_ohlcv"""
SIGNALS = """
INSERT INTO signals
SELECT symbol || source_offset || name, provider, symbol, "interval", window_end, name, direction, 0.5, 'rules', NULL,
    0, 'ticks', source_offset, 0
FROM bars_ohlcv, (VALUES ('up', 1, 40), ('down', -1, 300)) AS made (name, direction, every)
WHERE source_offset % every = 0"""


@pytest.fixture(scope="module")
def database(stack: LocalStack) -> Iterator[str]:
    with empty_database(stack.postgres.conninfo()) as conninfo:
        market = [bars("SPY", "2025-10-24T00:00Z", DAYS * 43_200, 2, "100 + 5 * sin(n / 500.0)")]
        store_rows(conninfo, *market, FEATURES, SIGNALS, features=("rsi", "momentum"))
        yield conninfo


def box(shown: Locator) -> FloatRect:
    found = shown.bounding_box()
    assert found is not None, "it is not visible"
    return found


def length(page: Page, name: str) -> None:
    page.locator("#lengths button").filter(has_text=name).click()
    expect(page.locator("#chart")).to_have_attribute("data-length", name)


def data(page: Page, name: str) -> int:
    return int(page.locator("#chart").get_attribute(f"data-{name}") or 0)


def scroll_back(page: Page) -> None:
    """As far as one drags the chart."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 100, box["y"] + 100, steps=3)
    page.mouse.up()


def test_bars_are_shown_at_the_lengths_there_are(visit: Open, database: str) -> None:
    page = visit()
    assert page.locator("#lengths button").all_inner_texts() == ["2s", "1m", "5m", "1h"]
    for name in ("1m", "5m", "1h"):
        length(page, name)
        with psycopg.connect(database) as connection:
            query = f"SELECT close, trades FROM bars_{name} ORDER BY bucket DESC LIMIT 1"
            ((close, trades),) = connection.execute(query.encode()).fetchall()
        row = page.locator("#bars tr:first-child")
        expect(row).to_have_attribute("data-trades", str(trades))
        assert float(row.get_attribute("data-close") or 0) == close
    page.reload()  # the address names the length
    expect(page.locator("#chart")).to_have_attribute("data-length", "1h")
    expect(page.locator("#lengths [aria-pressed=true]")).to_have_text("1h")


def test_hours_are_loaded_as_far_back_as_they_go_though_one_read_is_of_a_few(visit: Open) -> None:
    page = visit("provider=feed&symbol=SPY&interval=2s&rollup=1h")
    expect(page.locator("#chart")).to_have_attribute("data-bars", str(DAYS * 24), timeout=4 * SOON_MS)


def test_history_is_loaded_as_one_scrolls_back_and_no_sooner(visit: Open) -> None:
    page = visit("provider=feed&symbol=SPY&interval=2s&rollup=1m&features=rsi")
    expect(page.locator("#chart")).not_to_have_attribute("data-bars", "5")
    first = data(page, "bars")
    assert first < DAYS * 1_440 / 2
    signals = data(page, "signals")
    for _ in range(40):
        scroll_back(page)
        if data(page, "bars") > first:
            break
    assert data(page, "bars") > first
    assert data(page, "signals") > signals  # of the older bars
    expect(page.locator(".pane")).to_have_attribute("data-values", str(data(page, "bars")))


def test_an_older_bar_that_is_scrolled_to_is_not_lost_to_news(visit: Open, database: str) -> None:
    page = visit("provider=feed&symbol=SPY&interval=2s&rollup=1m")
    expect(page.locator("#chart")).not_to_have_attribute("data-bars", "5")
    before = data(page, "bars")
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE bars_ohlcv SET close = 99.5 WHERE window_start = (SELECT max(window_start) FROM bars_ohlcv)"
        )
    expect(page.locator("#price")).to_have_text("99.500", timeout=2 * SOON_MS)
    assert data(page, "bars") == before


def test_features_are_shown_in_panes_that_can_be_chosen(visit: Open) -> None:
    page = visit("provider=feed&symbol=SPY&interval=2s")
    page.locator("#features summary").click()
    page.get_by_role("checkbox", name="rsi").check()
    pane = page.locator(".pane[data-feature=rsi]")
    expect(pane).to_have_attribute("data-values", str(data(page, "bars")))
    expect(pane.locator(".value")).to_have_text(str((DAYS * 43_200 - 1) % 100))
    page.get_by_role("checkbox", name="momentum").check()
    expect(page.locator(".pane")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="rsi")).to_be_hidden()
    page.reload()  # the address names them
    expect(page.locator(".pane")).to_have_count(2)
    length(page, "5m")
    expect(pane.locator(".value")).to_have_text(str((DAYS * 43_200 - 1) % 100))
    page.locator("#features summary").click()
    page.get_by_role("checkbox", name="momentum").uncheck()
    expect(page.locator(".pane")).to_have_count(1)


def test_the_panes_show_the_span_of_the_chart(visit: Open) -> None:
    """And the pointer is at the same bar in all of them."""
    page = visit("provider=feed&symbol=SPY&interval=2s&features=rsi,momentum")
    expect(page.locator(".pane")).to_have_count(2)
    chart, *panes = map(box, (page.locator("#chart"), *page.locator(".pane").all()))
    for pane in panes:
        assert (pane["x"], pane["width"]) == (chart["x"], chart["width"])
    page.mouse.move(chart["x"] + 150, chart["y"] + 60)
    text = page.locator("#legend span").first.inner_text()
    assert text != page.locator("#bars tr:first-child th").inner_text()
    minute, second = (int(part) for part in text.split(":")[1:])
    number = (DAYS * 43_200 - 1) - ((59 - minute) * 60 + 58 - second) // 2
    expect(page.locator(".pane[data-feature=rsi] .value")).to_have_text(str(number % 100))
    page.mouse.move(panes[1]["x"] + 150, panes[1]["y"] + 60)
    expect(page.locator("#legend span").first).to_have_text(text)
    expect(page.locator(".pane[data-feature=rsi] .value")).to_have_text(str(number % 100))
    page.mouse.move(0, 0)
    expect(page.locator("#legend span").first).not_to_have_text(text)


def test_signals_are_filtered_by_name_on_the_chart_and_in_the_list(visit: Open) -> None:
    page = visit("provider=feed&symbol=SPY&interval=2s")
    expect(page.locator("#signals tr")).to_have_count(30)
    both = data(page, "signals")
    page.locator("#signal").select_option("down")
    expect(page.locator("#signals tr").filter(has_text="up")).to_have_count(0)
    expect(page.locator("#signals tr")).to_have_count(30)
    expect(page.locator("#chart")).not_to_have_attribute("data-signals", str(both))
    assert 0 < data(page, "signals") < both
    page.reload()
    expect(page.locator("#signal")).to_have_value("down")
    expect(page.locator("#signals tr").filter(has_text="up")).to_have_count(0)


def test_a_phone_has_the_panes_and_the_lengths_too(visit: Open) -> None:
    page = visit("provider=feed&symbol=SPY&interval=2s&features=rsi,momentum&rollup=5m", PHONE)
    expect(page.locator(".pane")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.locator("#features summary").click()
    menu = page.locator("#feature-names").bounding_box()
    assert menu is not None
    assert menu["x"] + menu["width"] <= PHONE["width"]
