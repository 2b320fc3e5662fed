"""The site that `make docs` builds: strictly, without a network, and for a reader without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

PROJECT = Path(__file__).resolve().parents[2]


class Loaded(HTMLParser):
    """What a browser loads for a page, and does not just link to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(values.get("src") or "")
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.addresses.append(values.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return target


def test_every_page_is_built_and_found_by_the_search(site: Path) -> None:
    pages = {page.stem for page in (PROJECT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert {f"{page}.html" for page in pages} <= {entry["location"] for entry in index["docs"]}


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    for page in site.glob("*.html"):
        local = [address for address in Loaded(page).addresses if address]
        assert local
        assert not [address for address in local if re.match(r"(?:[a-z]+:)?//", address)], page.name
        # 404.html is shown for any address, so its paths begin at the root
        if page.name != "404.html":
            missing = [one for one in local if not (page.parent / unquote(one.partition("?")[0])).exists()]
            assert not missing, page.name


def test_what_a_program_prints_offers_no_button_to_copy_it(site: Path) -> None:
    page = (site / "quickstart.html").read_text(encoding="utf-8")
    assert 'class="language-text highlight"' in page
    assert 'class="language-sh highlight"' in page
    hidden, _, rule = (site / "site.css").read_text(encoding="utf-8").partition(".language-text .md-code__nav")
    assert ".language-sh" not in hidden + rule
    assert re.search(r"\{\s*display: none;", rule)


def test_the_links_of_the_readme_lead_to_files_and_headings() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", text):
        file = PROJECT / (target or "README.md")
        assert file.exists(), target
        headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, f"{target}#{anchor}"
