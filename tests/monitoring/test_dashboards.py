"""The dashboards: the files are what the code makes, and every panel can be read and asks for what there is."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.files import derived
from tests.monitoring.promql import BOARDS, CONFIGS, MARKET, board_queries, panels, unknown_parts

PROVISIONING = CONFIGS / "grafana" / "provisioning"
boards = pytest.mark.parametrize("board", BOARDS, ids=lambda file: file.stem)


def provisioned(kind: str) -> list[dict[str, Any]]:
    files = (PROVISIONING / kind).glob("*.yaml")
    key = {"datasources": "datasources", "dashboards": "providers"}[kind]
    return [one for file in files for one in yaml.safe_load(file.read_text(encoding="utf-8"))[key]]


def source(kind: str) -> dict[str, Any]:
    [found] = [one for one in provisioned("datasources") if one["type"] == kind]
    return found


def test_the_files_are_what_make_dashboards_writes() -> None:
    expected = derived()
    assert set(BOARDS) <= expected.keys()
    assert {file: file.read_text(encoding="utf-8") for file in expected} == expected


@boards
def test_every_query_asks_for_what_there_is(board: Path) -> None:
    wrong = {title: found for title, query in board_queries(board) if (found := unknown_parts(query))}
    assert not wrong


@boards
def test_every_query_can_be_parsed(board: Path, debian_program: Callable[[str], str], tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": query} for number, (_, query) in enumerate(board_queries(board))]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": board.stem, "rules": rules}]}), encoding="utf-8")
    command = [debian_program("promtool"), "check", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@boards
def test_a_panel_says_what_it_shows_and_in_which_unit(board: Path) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@boards
def test_panels_have_numbers_of_their_own_and_lie_side_by_side(board: Path) -> None:
    assert len(panels(board)) == 8
    assert len({panel["id"] for panel in panels(board)}) == 8
    areas = [panel["gridPos"] for panel in panels(board)]
    assert all(area["x"] + area["w"] <= 24 for area in areas)
    cells = [
        cell
        for area in areas
        for cell in itertools.product(range(area["x"], area["x"] + area["w"]), range(area["y"], area["y"] + area["h"]))
    ]
    assert len(cells) == len(set(cells))


@boards
def test_deployment_topic_and_partition_can_be_chosen(board: Path) -> None:
    variables = {each["name"]: each for each in json.loads(board.read_text(encoding="utf-8"))["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "topic", "partition"]
    for name in ("job", "topic", "partition"):
        query = variables[name]["query"]["query"].removeprefix("label_values(").removesuffix(f", {name})")
        assert not unknown_parts(query.replace("$", ""))


@pytest.mark.parametrize("board", [*BOARDS, MARKET], ids=lambda file: file.stem)
def test_a_dashboard_asks_the_source_that_is_provisioned_unless_another_is_chosen(board: Path) -> None:
    variables = json.loads(board.read_text(encoding="utf-8"))["templating"]["list"]
    [choice] = [each for each in variables if each["type"] == "datasource"]
    assert choice["current"]["value"] == source(choice["query"])["uid"]
    asked = {panel["datasource"]["uid"] for panel in panels(board)}
    assert asked == {f"${{{choice['name']}}}"}


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    assert source("prometheus")["url"] == "http://prometheus:9090"
    prometheus = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert source("prometheus")["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    [provider] = provisioned("dashboards")
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
