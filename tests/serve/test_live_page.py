"""The page in a real browser, on a database that a real worker writes to."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from mdp.local import ports
from tests.harness import Deployment, Deployments, until
from tests.serve.live_market import HOSTILE, SECONDS, TOO_LATE, Ticks, live_market, market, milliseconds
from tests.serve.serving import serving
from tests.serve.visiting import LATEST, LISTED, PHONE, SOON_MS, Open, visits

PICTURES: list[tuple[str, ViewportSize, Literal["light", "dark"], str]] = [
    ("desktop", ViewportSize(width=1280, height=920), "light", "rsi"),
    ("dark", ViewportSize(width=1280, height=920), "dark", "rsi"),
    ("phone", PHONE, "light", ""),
]
UNKNOWN = "\N{EN DASH}"
ANY_NUMBER = re.compile(r"\d")


@pytest.fixture(scope="module")
def flow(deploy: Deployments) -> Deployment:
    deployment = market(deploy, ports.choose(range(9_900, 9_990), 1)[0])
    deployment.start()
    until(deployment.has_caught_up, "the market as rows")
    return deployment


@pytest.fixture(scope="module")
def ticks(flow: Deployment) -> Ticks:
    return Ticks(flow)


@pytest.fixture(scope="module")
def address(flow: Deployment) -> Iterator[str]:
    with serving(flow) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page on a symbol."""
    with visits(browser, address) as open_page:
        yield lambda symbol="", *more, **named: open_page(
            f"provider=synthetic&interval=1s&symbol={symbol}" if symbol else "", *more, **named
        )


def bar(page: Page, seconds: float) -> dict[str, str]:
    """What the table of the last bars says of the bar that starts then."""
    found: dict[str, str] = page.locator(f'#bars tr[data-time="{milliseconds(seconds)}"]').evaluate(
        "row => ({...row.dataset})"
    )
    return found


def test_who_has_not_chosen_sees_candles_of_the_first_symbol_with_history_and_signals(
    visit: Open, flow: Deployment
) -> None:
    page = visit()
    ((bars,),) = flow.query("SELECT count(*) FROM bars_ohlcv WHERE symbol = 'AAPL'")
    assert bars > SECONDS - 5
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "AAPL")
    expect(page.locator("#chart")).to_have_attribute("data-bars", str(bars))
    assert int(page.locator("#chart").get_attribute("data-signals") or 0) > 0
    assert page.locator("#signals tr").count() > 10
    assert page.locator(LISTED).count() >= 12
    expect(page.locator("#list [role=option] polyline").first).to_have_attribute("points", ANY_NUMBER)
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('#chart canvas')].some((canvas) => canvas.width > 200 &&
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0))"""
    )
    assert drawn


def test_figures_tell_what_became_of_the_events(visit: Open, flow: Deployment) -> None:
    page = visit()
    ((accepted, late, rejected),) = flow.query("SELECT sum(accepted), sum(late), sum(rejected) FROM progress")
    assert (late, rejected > 0) == (TOO_LATE, True)
    expect(page.locator("#figure-accepted")).to_have_text(f"{accepted:,}")
    expect(page.locator("#figure-rejected")).to_have_text(f"{rejected:,}")
    expect(page.locator("#figure-late")).to_have_text(str(TOO_LATE))
    expect(page.locator("#figure-watermark")).not_to_have_text(UNKNOWN)  # which the worker's metrics tell


def test_a_new_bar_and_then_its_amendment_appear_within_a_second(visit: Open, ticks: Ticks) -> None:
    page, second = visit("SPY"), ticks.later()
    ticks.close_window("SPY", second, 700.25)
    row = page.locator(f'#bars tr[data-time="{milliseconds(second)}"]')
    expect(row).to_have_attribute("data-close", "700.25", timeout=SOON_MS)
    expect(row).to_have_attribute("data-revision", "0")
    expect(page.locator("#price")).to_have_text("700.25")
    ticks.send("SPY", second + 0.5, 650.5)  # after its window has closed
    expect(row).to_have_attribute("data-close", "650.5", timeout=SOON_MS)
    assert (bar(page, second)["revision"], bar(page, second)["trades"]) == ("1", "2")


def test_a_bar_in_the_middle_of_the_chart_is_amended_too(visit: Open, ticks: Ticks) -> None:
    page, second = visit("MSFT"), SECONDS - 8
    before = int(bar(page, second)["trades"])
    ticks.send("MSFT", second + 0.5, 512.0)
    row = page.locator(f'#bars tr[data-time="{milliseconds(second)}"]')
    expect(row).to_have_attribute("data-trades", str(before + 1), timeout=SOON_MS)


def test_a_signal_appears_in_the_list_and_on_the_chart(visit: Open, ticks: Ticks) -> None:
    page = visit("V")
    before = int(page.locator("#chart").get_attribute("data-signals") or 0)
    second = ticks.later()
    for number in range(8):
        ticks.send("V", second + number, 340.0)
    ticks.close_window("V", second + 8, 400.0)
    row = page.locator(f"#signals tr[data-symbol='V'][data-time='{milliseconds(second + 9)}']")
    expect(row.filter(has_text="momentum_up")).to_be_visible(timeout=SOON_MS)
    page.wait_for_function(f"Number(document.getElementById('chart').dataset.signals) > {before}", timeout=SOON_MS)


def test_a_symbol_is_found_and_opened_by_the_keyboard_alone(visit: Open) -> None:
    page = visit("AAPL")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("m")
    expect(page.locator(LISTED).first).to_have_attribute("data-symbol", "META")
    expect(page.locator(LISTED)).to_have_count(5)  # META and MSFT begin with it, AMZN, JPM and XOM hold it
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#list .active")
    expect(chosen).to_have_attribute("data-symbol", "MSFT")
    expect(page.locator("#search")).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "?")
    page.keyboard.press("Enter")
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "MSFT")
    expect(page.locator("#list [aria-selected=true]")).to_have_attribute("data-symbol", "MSFT")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator(LISTED).nth(11)).to_be_visible()
    page.reload()  # the address names the symbol
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "MSFT")


def test_a_hostile_name_is_text_and_nothing_else(visit: Open, ticks: Ticks) -> None:
    page = visit("AAPL")
    ticks.close_window(HOSTILE, ticks.later(), 13.5)
    row = page.get_by_role("option").filter(has_text=HOSTILE)
    expect(row).to_be_visible(timeout=SOON_MS)
    row.click()
    expect(page.locator("#symbol")).to_have_text(HOSTILE)
    expect(page.locator(LATEST)).to_have_attribute("data-close", "13.5", timeout=SOON_MS)
    assert page.locator("main img").count() == 0


def test_another_provider_can_be_chosen(visit: Open, ticks: Ticks) -> None:
    page = visit("AAPL")
    ticks.send("EURUSD", SECONDS, 1.0875, provider="fx")
    ticks.send("EURUSD", SECONDS + 1.6, 1.0874, provider="fx")
    expect(page.locator("#listed option")).to_have_count(3, timeout=SOON_MS)
    page.locator("#listed").select_option("fx")
    expect(page.locator(LISTED)).to_have_count(1)
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "AAPL")
    page.locator(LISTED).click()
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "EURUSD")
    expect(page.locator("#price")).to_have_text("1.0875")


def test_a_tiny_price_has_its_digits(visit: Open, ticks: Ticks) -> None:
    page = visit("AAPL")
    ticks.send("PEPE", SECONDS, 2.1e-10, provider="dex")
    ticks.send("PEPE", SECONDS + 0.1, 2.5e-10, provider="dex")
    ticks.send("PEPE", SECONDS + 1.6, 2.3e-10, provider="dex")
    page.get_by_role("option").filter(has_text="PEPE").click()
    expect(page.locator("#price")).to_have_text("2.5e-10")
    expect(page.locator(LATEST)).to_contain_text("2.1e-10")


def test_numbers_of_any_size_can_be_read(visit: Open) -> None:
    values = [0, 1e-18, -2.1e-10, 1.25e-5, 1.0875, 105433.6, 1.5e13, -1e15, 1e18]
    written = visit().evaluate(
        "async (values) => { const { price, short } = await import('/static/format.js');"
        " return [values.map(price), values.map(short)] }",
        values,
    )
    assert written == [
        ["0.00", "1e-18", "-2.1e-10", "0.000012500", "1.0875", "105,433.60", "15T", "-1e15", "1e18"],
        ["0", "1e-18", "-2.1e-10", "0.0000125", "1.088", "105.4K", "15T", "-1e15", "1e18"],
    ]


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(visit: Open, width: int) -> None:
    page = visit("SPY", ViewportSize(width=width, height=800))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    box = page.locator("#chart").bounding_box()
    assert box is not None
    assert box["width"] > width - 40
    page.locator("#search").click()
    page.keyboard.type("tsla")
    expect(page.locator(LISTED)).to_have_count(1)
    page.locator(LISTED).click()
    expect(page.locator("#chart")).to_have_attribute("data-symbol", "TSLA")


def test_colours_are_the_systems_until_others_are_chosen_which_is_remembered(visit: Open) -> None:
    page = visit("SPY", colours="dark")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    assert (sum_of(dark) < 150, sum_of(light) > 600) == (True, True)
    page.locator("#theme").click()
    assert page.evaluate(ground) == dark
    page.reload()
    assert page.evaluate(ground) == dark


def sum_of(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_the_chart_goes_back_as_far_as_there_are_bars(visit: Open, flow: Deployment) -> None:
    page = visit("SPY")
    ((count,),) = flow.query("SELECT count(*) FROM bars_ohlcv WHERE symbol = 'SPY'")
    answer = page.evaluate(
        "(before) => fetch(`/api/history?provider=synthetic&symbol=SPY&interval=1s&before=${before}`)"
        ".then((answer) => answer.json())",
        milliseconds(60),
    )
    assert [row[0] for row in answer["bars"]] == [milliseconds(second) for second in range(60)]
    assert page.locator("#chart").get_attribute("data-bars") == str(count)


def test_a_repair_which_moves_no_progress_is_seen_too(visit: Open, flow: Deployment) -> None:
    page = visit("UNH")
    start = int(page.locator(LATEST).get_attribute("data-time") or 0)
    flow.query(
        "UPDATE bars_ohlcv SET close = 321.5, revision = revision + 1"
        f" WHERE symbol = 'UNH' AND window_start = to_timestamp({start} / 1000.0) RETURNING 1"
    )
    expect(page.locator(LATEST)).to_have_attribute("data-close", "321.5", timeout=2 * SOON_MS)


def test_elsewhere_the_token_is_asked_for_once(browser: Browser, flow: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "page.token"
    file.touch(0o600)
    file.write_text("a-token-of-the-test\n")
    with serving(flow, "--host", "0.0.0.0", "--token-file", str(file)) as address:
        page = browser.new_context().new_page()
        page.goto(address)
        page.get_by_label("token").fill("a-token-of-the-past")
        page.get_by_role("button").click()
        page.get_by_label("token").fill("a-token-of-the-test")
        page.get_by_role("button").click()
        expect(page.locator("#status")).not_to_have_attribute("data-state", "connecting")
        page.context.close()
        page = browser.new_context().new_page()
        page.goto(f"{address}/?symbol=SPY&token=a-token-of-the-test")
        expect(page.locator("#chart")).to_have_attribute("data-symbol", "SPY")
        assert "token" not in page.url
        page.reload()
        expect(page.locator("#chart")).to_have_attribute("data-symbol", "SPY")
        page.context.close()


def test_an_outage_of_the_database_is_told_and_the_page_goes_on_after_it(
    visit: Open, ticks: Ticks, flow: Deployment
) -> None:
    page = visit("JPM")
    flow.stack.postgres.stop()
    try:
        expect(page.locator("#trouble")).to_contain_text("database", timeout=15_000)
    finally:
        flow.stack.postgres.start()
    expect(page.locator("#trouble")).to_be_hidden(timeout=15_000)
    ticks.close_window("JPM", ticks.later(), 333.0)
    expect(page.locator(LATEST)).to_have_attribute("data-close", "333", timeout=20_000)


def test_a_live_market_moves_and_makes_the_pictures_of_the_docs(browser: Browser, deploy: Deployments) -> None:
    folder = os.environ.get("MDP_SCREENSHOTS")
    port = ports.choose(range(9_800, 9_890), 1)[0]
    with live_market(deploy, port) as flow, serving(flow) as address:
        flow.start()
        for name, size, colours, features in PICTURES:
            page = browser.new_context(viewport=size, color_scheme=colours).new_page()
            page.goto(f"{address}/?provider=synthetic&interval=1s&symbol=NVDA&order=gain&features={features}")
            expect(page.locator("#signals tr").first).to_be_visible(timeout=20_000)
            expect(page.locator("#figure-lag")).not_to_have_text(UNKNOWN, timeout=10_000)
            expect(page.locator("#status")).to_have_attribute("data-state", "live")
            before = page.locator(LATEST).get_attribute("data-time")
            expect(page.locator(LATEST)).not_to_have_attribute("data-time", before or "", timeout=10_000)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
            if folder:
                picture.save(Path(folder) / f"page-{name}.png", optimize=True)
            page.context.close()


def test_the_server_ends_while_a_page_is_open(browser: Browser, flow: Deployment) -> None:
    with serving(flow) as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.locator("#status")).not_to_have_attribute("data-state", "connecting")
    expect(page.locator("#status")).to_have_attribute("data-state", "connecting")
    page.close()
