"""The market dataflow: events to bars, features and signals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from chaos.case import Case, mdp
from chaos.faults import KINDS
from chaos.follow import Follower
from chaos.market import EVENTS, LOAD, PARTITIONS, RULES, SECTIONS, SYMBOLS
from chaos.outputs import Findings, judge
from chaos.pipeline import Pipeline
from chaos.poison import Poison


class _Judge:
    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        self._pipeline = pipeline
        self._oracle = Follower(pipeline.kafka, EVENTS, PARTITIONS)
        self._poison = Poison(pipeline.kafka, EVENTS, seed)

    def has_all(self) -> bool:
        return True  # one dataflow, whose progress is watched

    def end_load(self) -> None:
        self._poison.stop()

    def findings(self, written: Mapping[int, int]) -> Findings:
        return judge(self._pipeline, self._oracle.expected(written))

    def stop(self) -> None:
        self._poison.stop()
        self._oracle.stop()


def _configure(folder: Path) -> Mapping[str, Any]:
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump(RULES))
    return {**SECTIONS, "inference": {"adapters": {"rules": {"file": str(rules)}}}}


def _load(_: str, rate: float, seconds: float, seed: int) -> list[str]:
    given = ("--rate", str(rate), "--seconds", str(seconds), "--seed", str(seed), "--symbols", str(SYMBOLS))
    return mdp("stream", "produce", "--provider", "synthetic", *given, *LOAD)


MARKET: Final = Case(("run",), KINDS, EVENTS, _configure, _load, _Judge)
