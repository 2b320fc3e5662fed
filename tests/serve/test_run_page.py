"""The page of a run shows its rows, and says whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mdp.local import LocalStack
from tests.harness import empty_database
from tests.serve.market_rows import bars, environment, store_rows
from tests.serve.serving import server_process
from tests.serve.visiting import LATEST, LISTED, visits
from tests.sinks.run_tables import made


@pytest.fixture(scope="module")
def database(stack: LocalStack) -> Iterator[str]:
    """Live tables with bars of SPY, and a run with bars of AAPL."""
    with empty_database(stack.postgres.conninfo()) as conninfo:
        store_rows(conninfo, bars("SPY", "2025-10-24T00:00Z", 100, 2))
        store_rows(made(conninfo, "calmer"), bars("AAPL", "2025-10-24T00:00Z", 40, 2, "200"))
        yield conninfo


def test_the_page_of_a_run_shows_its_bars_and_its_name(browser: Browser, database: str, tmp_path: Path) -> None:
    with (
        server_process(environment(database, tmp_path), "--run", "calmer") as (address, _),
        visits(browser, address) as visit,
    ):
        page = visit()
        expect(page.locator("#status")).to_have_text("run calmer")
        expect(page.locator("#symbol")).to_have_text("AAPL")
        assert page.locator(LISTED).count() == 1
        page.locator("#lengths button").filter(has_text="1m").click()
        expect(page.locator("#chart")).to_have_attribute("data-length", "1m")
        expect(page.locator(LATEST)).to_have_attribute("data-close", "200")
