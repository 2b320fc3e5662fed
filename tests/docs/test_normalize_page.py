"""docs/normalize.md: its mapping and its code as they stand, on the messages that it shows."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.envelope import checksum
from contracts.registry import open_envelope
from normalize.feed import Arrivals, Feed
from normalize.mapping import FieldConfig, MappingConfig, parse_mapping
from normalize.normalizer import Normalizer
from tests.docs.page_blocks import PROJECT
from tests.docs.page_blocks import block as page_block

PAGE = (PROJECT / "docs" / "normalize.md").read_text(encoding="utf-8")
block = partial(page_block, PAGE)
STEPS = "A venue, step by step"
FEED = {
    "articles": [
        {
            "lang": "en",
            "published": "2025-10-28T07:00:00Z",
            "id": "a-1",
            "title": "Outlook",
            "link": "https://news.example/1",
        }
        | {"companies": [{"ticker": "NVDA"}, {"ticker": "AMD"}]},
        {"lang": "de", "published": "2025-10-28T07:00:00Z", "id": "a-2", "title": "Ausblick", "companies": []},
    ]
}


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's mapping and its messages."""
    (tmp_path / "coinbase.yaml").write_text(block(STEPS, "yaml"), encoding="utf-8")
    (tmp_path / "recorded.ndjson").write_text(block(STEPS, "json"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("recorded")
def test_the_code_gives_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block("From Python", "python"), "docs/normalize.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    topic, key, value = said[0].split(" ", 2)
    envelope, _ = open_envelope(value.encode())
    assert (topic, key) == ("utp.prod.chamber_us.trades.tick", "BTC-USD")
    shown = json.loads(block(STEPS, "json", 1))
    assert json.loads(value) == shown
    assert shown["checksum"] == checksum(bytes(envelope.payload))
    assert said[1].startswith("utp.prod.chamber_us.quotes.tick BTC-USD ")
    refusal = " ".join(re.findall(r"is refused: ``(.*?) ``", PAGE, re.DOTALL)[0].split())
    assert said[2] == f"3 contract {refusal}"
    assert len(said) == 3


def test_the_programs_map_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_mappings.py").write_text(block("Mappings", "python"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    by_jq = yaml.safe_load(block("Mappings", "yaml"))
    place = re.findall(r"`python: (my_mappings:\w+)`", PAGE)[0]
    values = []
    for mapping in (by_jq, {"type": "news/v1", "python": place}):
        normalizer = Normalizer([parse_mapping(mapping)], Feed("agency"))
        (group,) = normalizer.normalize([json.dumps(FEED).encode()], Arrivals([1_761_635_669_987_000_000])).accepted
        values.append(group.values)
        assert group.event_ids == ["a-1"]
    assert values[0] == values[1]
    sys.modules.pop("my_mappings", None)


def test_the_tables_of_keys_are_those_of_the_code() -> None:
    keys, forms = re.findall(r"\| (?:Key|Field) \| \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    named = [name for cell in re.findall(r"^\| (.*?) \|", keys, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(MappingConfig.model_fields)
    shown = [yaml.safe_load(form) for form in re.findall(r"^\| `(.*?)` \|", forms, re.MULTILINE)]
    used = {key for form in shown for value in form.values() if isinstance(value, dict) for key in value}
    assert used == set(FieldConfig.model_fields)
