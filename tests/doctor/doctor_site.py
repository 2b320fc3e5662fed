from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from mdp.doctor.findings import Check, Finding
from mdp.doctor.site import Site

PARTITIONS = 2
KEYS = ("topic", "signals_topic", "bars_topic", "dlq_topic", "late_topic", "replay_topic", "control_topic")

Send = Callable[[Sequence[tuple[int, bytes]]], None]


def said(check: Check, site: Site, level: str = "wrong") -> list[Finding]:
    """What a check says of this level."""
    return [finding for finding in check(site) if finding.level == level]


def topics_tree(names: Iterable[str], **changes: Any) -> dict[str, Any]:
    """The content of topics.yaml."""
    config = {"message.timestamp.type": "LogAppendTime", "retention.ms": 86_400_000}
    return {"defaults": {"partitions": PARTITIONS, "config": config}, "topics": {**dict.fromkeys(names), **changes}}


def write(path: Path, tree: Any) -> None:
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def tick(symbol: str, provider: str = "feed", at: str = "2025-10-24T14:00:00Z") -> bytes:
    event = {"ver": 1, "provider": provider, "symbol": symbol, "kind": "tick", "src_ts": at, "c": 1.0, "v": 1.0}
    return json.dumps(event).encode()
