"""The page says "live" only while rows keep coming."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from contracts.batch import Outcomes
from flows.settings import Settings
from mdp.local import ports
from mdp.serve.figures import Counts
from mdp.serve.server import PageServer
from sinks.queries.live import FlowProgress
from tests.harness import Deployments, until
from tests.serve.live_market import live_market
from tests.serve.serving import server_process, serving
from tests.serve.visiting import visits

RULE = """async ([known]) => (await import('/static/status.js')).freshness(known)"""


def test_without_a_worker_it_is_not_live_and_with_one_it_is_again(browser: Browser, deploy: Deployments) -> None:
    with live_market(deploy, ports.choose(range(9_700, 9_790), 1)[0]) as flow:
        flow.start()
        until(lambda: flow.progress > 0, "rows")
        with serving(flow) as address, visits(browser, address) as visit:
            status = visit().locator("#status")
            expect(status).to_have_attribute("data-state", "live", timeout=30_000)
            flow.stop()
            expect(status).to_have_attribute("data-state", "stale", timeout=30_000)
            expect(status).to_contain_text("no data for 1")
            flow.start()
            expect(status).to_have_attribute("data-state", "live", timeout=60_000)


@pytest.mark.slow
def test_with_a_server_that_falls_silent_it_is_not_live(browser: Browser, deploy: Deployments) -> None:
    """As one does that is suspended: its connections stay open."""
    with live_market(deploy, ports.choose(range(9_700, 9_790), 1)[0]) as flow:
        flow.start()
        until(lambda: flow.progress > 0, "rows")
        with server_process(flow.environment) as (address, server), visits(browser, address) as visit:
            status = visit().locator("#status")
            expect(status).to_have_attribute("data-state", "live", timeout=30_000)
            server.send_signal(signal.SIGSTOP)
            try:
                expect(status).to_have_attribute("data-state", "stale", timeout=30_000)
            finally:
                server.send_signal(signal.SIGCONT)
            expect(status).to_have_attribute("data-state", "live", timeout=30_000)


@pytest.fixture(scope="module")
def still(browser: Browser) -> Iterator[Page]:
    """The page of a server that has no database."""
    away = {"store": {"url": "postgresql://127.0.0.1:1/none"}, "telemetry": {"metrics_port": 0}}
    server = PageServer(Settings.model_validate(away), "127.0.0.1", 0, None)
    server.start()
    page = browser.new_page()
    page.goto(server.address)
    yield page
    page.close()
    server.stop()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, ["stale", "no data yet"]),
        ({"age": 9.9}, ["live", "live"]),
        ({"age": 85}, ["stale", "no data for 85.0 s"]),
        ({"age": 85, "lag_ms": 0, "window": 60_000}, ["live", "live"]),  # bars of a minute that come whole
        ({"age": 85, "lag_ms": None, "window": 60_000}, ["stale", "no data for 85.0 s"]),  # and no worker
        ({"age": 95, "lag_ms": 0, "window": 60_000}, ["stale", "no data for 95.0 s"]),
        ({"age": 0.1, "lag_ms": 3_600_000}, ["behind", "catching up, 60 min"]),
        ({"age": 0.1, "trouble": "The database cannot be used"}, ["stale", "no database"]),
    ],
)
def test_what_is_said_of_data_of_that_age(still: Page, known: dict[str, Any], expected: list[str]) -> None:
    assert still.evaluate(RULE, [known]) == expected


def test_the_age_is_that_of_the_flow_that_writes() -> None:
    """A database may hold the progress of another flow of the same name, which ended long ago."""
    counts = Counts(["market", "micro_batch"])
    ended, writing = (FlowProgress(1, Outcomes(accepted=1), age) for age in (9_000.0, 0.5))
    assert counts.of({"market": ended, "micro_batch": writing})["age"] == 0.5
