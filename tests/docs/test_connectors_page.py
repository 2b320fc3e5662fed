"""docs/connectors.md: its manifests and its code as they stand, on the messages that it shows."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.connector import Connector
from connectors.manifest import FILE
from connectors.registry import find
from connectors.testkit import connector_for, play, request_for
from connectors.websocket.connector import WebsocketConnector
from tests.connectors.emitted import emitted
from tests.docs.page_blocks import PROJECT
from tests.docs.page_blocks import block as page_block

PAGE = (PROJECT / "docs" / "connectors.md").read_text(encoding="utf-8")
block = partial(page_block, PAGE)
STEPS = "A feed of your own, step by step"
IN_PYTHON = "A connector in Python"


def test_the_manifest_of_a_feed_has_fewer_than_15_lines_and_makes_what_the_page_shows(tmp_path: Path) -> None:
    text = block(STEPS, "yaml")
    assert len(text.splitlines()) < 15
    (tmp_path / "acme.yaml").write_text(text, encoding="utf-8")
    acme = connector_for(find(str(tmp_path / "acme.yaml")), symbols=["BTC-USD", "ETH-USD"])
    played = play(acme, block(STEPS, "json").encode().splitlines())
    assert not played.refused
    assert [one["sequence"] for one in played.all_envelopes] == [883162574, 883162575]
    assert played.all_envelopes[0] | {"realm": "local"} == json.loads(block(STEPS, "json", 1))


def test_subscriptions_are_sent_as_the_table_shows(tmp_path: Path) -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `{") and '{"' in line]
    assert len(rows) == 4
    for _, message, sent, _ in rows:
        tree = yaml.safe_load(block(STEPS, "yaml"))
        tree["websocket"]["subscribe"] = yaml.safe_load(message.strip().strip("`"))
        (tmp_path / "acme.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
        connector = WebsocketConnector(request_for(find(str(tmp_path / "acme.yaml")).manifest, symbols=["X", "Y"]))
        shown = [json.loads(part.strip().strip("`")) for part in sent.split(", then ")]
        assert [json.loads(one) for one in connector._messages] == shown


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the page, installed."""
    package, installed = tmp_path / "clock_connector", tmp_path / "clock_connector-1.0.dist-info"
    package.mkdir()
    installed.mkdir()
    (package / "__init__.py").touch()
    (package / "connector.py").write_text(block(IN_PYTHON, "python"), encoding="utf-8")
    (package / FILE).write_text(block(IN_PYTHON, "yaml"), encoding="utf-8")
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: clock\nVersion: 1.0\n", encoding="utf-8")
    group, name, target = re.findall(r'"([^"]+)"\]\n(\w+) = "([^"]+)"', block(IN_PYTHON, "toml"))[0]
    (installed / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("clock_connector", "clock_connector.connector"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("clock")
def test_the_connector_in_python_is_found_runs_and_is_tested_as_the_page_says() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block(IN_PYTHON, "python", 1), "docs/connectors.md", "exec"), names)
    made = connector_for(find("clock"), options={"count": "5"})
    assert isinstance(made, Connector)
    played = play(made, emitted(lambda: made, 5))
    assert [one["sequence"] for one in played.envelopes("trades/v2")] == list(range(5))
