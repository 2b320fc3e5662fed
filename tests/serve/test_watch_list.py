"""The watch list of the page: all symbols of all providers, found and put in order."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from mdp.local import LocalStack
from tests.harness import empty_database
from tests.serve.market_rows import bars, store_rows
from tests.serve.visiting import LISTED, SOON_MS, Open

SYMBOLS = 60  # more than are listed
START = "2025-10-24T12:00:00Z"
SIGNALS = """
INSERT INTO signals
SELECT symbol, provider, symbol, "interval", max(window_end), 'up', 1, 0.5, 'rules', NULL, 0, 'ticks', 0, 0
FROM bars_ohlcv GROUP BY provider, symbol, "interval" """


@pytest.fixture(scope="module")
def database(stack: LocalStack) -> Iterator[str]:
    with empty_database(stack.postgres.conninfo()) as conninfo:
        # The higher the number, the less is traded, and the more is gained.
        market = [bars(f"S{n:02}", START, 200 - n, 2, f"100 + n * {n} / 1000.0") for n in range(SYMBOLS)]
        market.append(bars("EURUSD", START, 100, 2, "100", provider="fx"))
        store_rows(conninfo, *market, SIGNALS)
        yield conninfo


def listed(page: Page) -> list[str]:
    found: list[str] = page.locator(LISTED).evaluate_all("rows => rows.map((row) => row.dataset.symbol)")
    return found


def test_the_most_traded_and_the_best_of_all_come_first(visit: Open, database: str) -> None:
    page = visit()
    expect(page.locator("#found")).to_have_text(f"40 of {SYMBOLS + 1}")
    page.locator("#order").select_option("gain")
    best = SYMBOLS - 1
    expect(page.locator(LISTED).first).to_have_attribute("data-symbol", f"S{best}")
    assert listed(page) == [f"S{number:02}" for number in range(best, best - 40, -1)]
    page.locator("#order").select_option("loss")
    expect(page.locator(LISTED).first).to_have_attribute("data-symbol", "S00")
    assert listed(page)[:4] == ["S00", "EURUSD", "S01", "S02"]  # the first two have gained the same
    page.locator("#order").select_option("volume")
    expect(page.locator(LISTED).nth(1)).to_have_attribute("data-symbol", "S01")
    with psycopg.connect(database) as connection:
        most = connection.execute(
            "SELECT symbol, sum(volume) FROM bars_ohlcv GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 40"
        ).fetchall()
    assert listed(page) == [symbol for symbol, _ in most]
    assert float(page.locator(LISTED).first.get_attribute("data-volume") or 0) == most[0][1]
    page.reload()  # the address names the order
    expect(page.locator("#order")).to_have_value("volume")
    expect(page.locator(LISTED).first).to_have_attribute("data-symbol", "S00")


def test_both_percentages_are_of_one_span_which_is_named(visit: Open) -> None:
    page = visit("provider=feed&symbol=S30&interval=2s")
    row = page.locator("#list [aria-selected=true]")
    first, last = 100 + 1 * 0 - 1, 100 + 169 * 30 / 1000  # the open of the first bar, the close of the last one
    expected = f"+{(last - first) / first:.2%}"
    for length in ("2s", "1m"):
        page.locator("#lengths button").filter(has_text=length).click()
        expect(page.locator("#chart")).to_have_attribute("data-length", length)
        expect(page.locator("#change")).to_have_text(expected)
        expect(row.locator(".change")).to_have_text(expected)
    assert set(page.locator(".span").all_inner_texts()) == {"1h"}


def test_a_search_is_of_all_symbols_of_all_providers(visit: Open) -> None:
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("s59")
    expect(page.locator(LISTED)).to_have_count(1)
    page.locator("#search").fill("eur")
    expect(page.locator(LISTED)).to_have_attribute("data-provider", "fx")
    page.keyboard.press("Enter")
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "EURUSD")


def test_symbols_and_signals_can_be_those_of_one_provider(visit: Open) -> None:
    page = visit()
    expect(page.locator("#signals tr")).to_have_count(30)
    page.locator("#listed").select_option("fx")
    expect(page.locator(LISTED)).to_have_count(1)
    expect(page.locator("#signals tr")).to_have_count(1)
    expect(page.locator("#signals tr")).to_have_attribute("data-provider", "fx")
    page.reload()  # the address names the provider
    expect(page.locator("#listed")).to_have_value("fx")
    expect(page.locator(LISTED)).to_have_count(1)


def test_what_is_new_in_the_market_moves_its_symbol(visit: Open, database: str) -> None:
    page = visit("order=volume")
    expect(page.locator(LISTED).first).to_have_attribute("data-symbol", "S00")
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE bars_ohlcv SET volume = 1e6 WHERE symbol = 'S41' AND window_start > '2025-10-24T12:05Z'"
        )
    expect(page.locator(LISTED).first).to_have_attribute("data-symbol", "S41", timeout=2 * SOON_MS)
