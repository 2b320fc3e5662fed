"""docs/headers.md against what it is about, and its code as it stands."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts.budgets import BLOB_ABOVE_BYTES, GZIP_ABOVE_BYTES, RECORD_BYTES
from contracts.domain_keys import KEYS
from contracts.headers import NAMES, REQUIRED
from tests.docs.page_blocks import PROJECT
from tests.docs.page_blocks import block as page_block

PAGE = (PROJECT / "docs" / "headers.md").read_text(encoding="utf-8")
block = partial(page_block, PAGE)


def test_the_table_of_headers_is_the_declaration() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(NAMES)
    assert [name for name, there in rows if there == "always"] == list(REQUIRED)


def test_the_table_of_keys_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| ([a-z, ]+) \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    shown = {domain: key.replace(r"\|", "|") for domains, key in rows for domain in domains.split(", ")}
    assert shown == {domain: "|".join(parts).translate({ord(c): None for c in "{}"}) for domain, parts in KEYS.items()}


def test_the_sizes_are_those_of_the_budgets() -> None:
    sizes = re.findall(r"^\| up to (\d+) ([KM])iB \|", PAGE, re.MULTILINE)
    units = {"K": 1 << 10, "M": 1 << 20}
    assert [int(number) * units[unit] for number, unit in sizes] == [GZIP_ABOVE_BYTES, BLOB_ABOVE_BYTES, RECORD_BYTES]


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blobs").mkdir()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block("From Python", "python"), "docs/headers.md", "exec"), names)
    assert names["payload"] == b"[" + b"1," * 1_000_000 + b"1]"
    assert (names["value"], names["received"]) == (b"", names["sent"])
    assert len([file for file in (tmp_path / "blobs").rglob("*") if file.is_file()]) == 1
