"""docs/files.md: its map on its file, its tables of keys and forms, and the presets."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import polars as pl
import yaml

from connectors.files.guess import guess
from connectors.files.maps import FileMap, SourceConfig, load_map, parse_map, presets
from mdp.ops.file_events import EventFiles
from tests.docs.page_blocks import PROJECT
from tests.docs.page_blocks import block as page_block

PAGE = (PROJECT / "docs" / "files.md").read_text(encoding="utf-8")
block = partial(page_block, PAGE)
ANY = "Files of any columns"


def cells(head: str) -> list[str]:
    """The first cells of the rows of a table."""
    (rows,) = re.findall(rf"\| {head} \|[^\n]*\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    return re.findall(r"^\| (.*?) \|", rows, re.MULTILINE)


def test_the_map_leads_to_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(block(ANY, "yaml"))
    (tmp_path / "dump.csv").write_text(block(ANY, "text"))
    found = pl.concat(EventFiles([tmp_path / "dump.csv"], columns=load_map(str(tmp_path / "map.yaml"))).rows())
    assert found.select("provider", "symbol", "kind", "src_ts", "c", "v", "seq").rows() == [
        ("acme", "BTCUSDT", "tick", 1735689600010000000, 42000.2, 0.5, 4359),
        ("acme", "BTCUSDT", "tick", 1735689600999000000, 42000.1, 10.25, 4360),
    ]


def test_the_file_of_the_page_can_be_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "dump.csv").write_text(block(ANY, "text"))
    written, proposed = yaml.safe_load(block(ANY, "yaml"))["columns"], guess(tmp_path / "dump.csv").columns
    same = ("time", "price", "size", "side", "sequence")
    assert {word: proposed[word] for word in same} == {word: written[word] for word in same}


def test_the_tables_are_those_of_the_code() -> None:
    keys = [name for cell in cells("Key") for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(keys) == sorted(FileMap.model_fields)
    forms = [yaml.safe_load(re.findall(r"^`(.*)`", cell)[0]) for cell in cells("Form")]
    given = [source for form in forms for source in form.values()]
    used = {key for source in given if isinstance(source, dict) for key in source}
    assert used | {"column"} == set(SourceConfig.model_fields)
    for form in forms:
        base = {"provider": {"value": "p"}, "symbol": {"value": "S"}, "time": "t", "price": "p", "size": "q"}
        parse_map({"type": "trades/v2", "each": "result.*", "columns": base | form})


def test_every_preset_is_on_the_page() -> None:
    assert {name for cell in cells("Preset") for name in re.findall(r"`([a-z-]+)`", cell)} == set(presets())
