from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.serve.market_rows import page_of
from tests.serve.visiting import Open, visits

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser(debian_program: Callable[[str], str]) -> Iterator[Browser]:
    """A real one, which sees loopback addresses only: a page that needs the internet fails."""
    path = debian_program("chromium")
    with sync_playwright() as playwright:
        flags = [*FLAGS.split(), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        opened = playwright.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a page of the module's `database`."""
    with page_of(database, tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page."""
    with visits(browser, address) as open_page:
        yield open_page
