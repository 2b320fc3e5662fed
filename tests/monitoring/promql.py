"""Queries as this project writes them, taken apart as far as the tests need it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase

import telemetry.metrics

PROJECT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT / "configs"
RULES = CONFIGS / "prometheus" / "rules"
MARKET = CONFIGS / "grafana" / "dashboards" / "market.json"  # the one that asks the database
BOARDS = sorted({*MARKET.parent.glob("*.json")} - {MARKET})

# What Prometheus itself adds, and how its own series and those of any Python process are labelled.
TARGET_LABELS = {"job", "instance"}
FOREIGN = {
    "up": TARGET_LABELS,
    "ALERTS": {*TARGET_LABELS, "alertname", "alertstate"},
    "process_start_time_seconds": TARGET_LABELS,
}

_STRING = re.compile(r'"[^"]*"')
_MATCHERS = re.compile(r"\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()")
_KEYWORDS = {"and", "or", "unless", "bool"}


def rule_groups(name: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    return groups


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in rule_groups(name) for rule in group["rules"]]


def panels(board: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(board.read_text(encoding="utf-8"))["panels"]
    return found


def board_queries(board: Path) -> Iterator[tuple[str, str]]:
    """(title of the panel, query), with the choices of a dashboard made: everything, over a minute."""
    for panel in panels(board):
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1h")
            yield panel["title"], re.sub(r"\$\w+", ".*", query)


def yaml_blocks(document: Path, key: str) -> list[dict[str, Any]]:
    """The blocks of YAML in a document that have this key at their top."""
    blocks = re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return [tree for tree in map(yaml.safe_load, blocks) if key in tree]


def metric_names(query: str) -> set[str]:
    bare = _RANGE.sub(" ", _GROUPING.sub(" ", _MATCHERS.sub(" ", _STRING.sub('""', query))))
    return {name for name in _NAME.findall(bare) if name not in _KEYWORDS}


def label_names(query: str) -> set[str]:
    plain = _STRING.sub('""', query)
    inside = [*_MATCHERS.findall(plain), *_GROUPING.findall(plain)]
    return {name for part in inside for name in re.findall(r"\w+", part)}


def served_series() -> dict[str, set[str]]:
    """The labels of every series of the project that a worker serves, by its name."""
    found: dict[str, set[str]] = {}
    for metric in vars(telemetry.metrics).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            suffixes = {"histogram": ["_bucket", "_sum", "_count"], "counter": ["_total"]}.get(family.type, [""])
            labels = {*metric._labelnames, *TARGET_LABELS}
            for suffix in [""] if family.name in telemetry.metrics.BARE else suffixes:
                found[family.name + suffix] = {*labels, "le"} if suffix == "_bucket" else labels
    return found


def recorded_series() -> dict[str, set[str]]:
    """The labels of every series that a recording rule makes: those it keeps."""
    kept = {rule["record"]: " ".join(_GROUPING.findall(rule["expr"])) for rule in rules("recording.yml")}
    return {name: set(re.findall(r"\w+", labels)) - {"le"} for name, labels in kept.items()}


def known_series() -> dict[str, set[str]]:
    """All series that a query may ask for."""
    return FOREIGN | served_series() | recorded_series()


def unknown_parts(query: str) -> set[str]:
    """What a query asks for and nobody has: names of series, and labels that none of its series has."""
    known, names = known_series(), metric_names(query)
    labels = set.union(set(), *(known.get(name, set()) for name in names))
    return (names - known.keys()) | (label_names(query) - labels)
