from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

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
