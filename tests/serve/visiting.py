"""Visitors of the page, none of whom has been there before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, expect

DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)
SOON_MS = 5_000  # a second, on a machine that has other things to do
LISTED = "#list [role=option]"
LATEST = "#bars tr:first-child"

Open = Callable[..., Page]


@contextmanager
def visits(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page with a query, once there are bars. No visit may make the browser complain."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_page(query: str = "", size: ViewportSize = DESKTOP, colours: str = "light", **context: Any) -> Page:
        settings: dict[str, Any] = {"viewport": size, "color_scheme": colours, "reduced_motion": "reduce", **context}
        page = browser.new_context(**settings).new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        pages.append(page)
        page.goto(f"{address}/?{query}")
        expect(page.locator(LATEST)).to_be_visible(timeout=20_000)
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert complaints == []
