"""The contenders, each a process of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PEERS = Path(__file__).resolve().parent / ".venv" / "bin" / "python"  # the environment of bench/peers.lock
Job = Literal["read", "bars", "full"]
Topic = Literal["json", "arrow", "envelope", "short"]


@dataclass(frozen=True)
class Contender:
    """Attributes:
    module: what `python -m` runs.
    topic: its source; `short` is the JSON topic of the peers.
    job: its output: nothing, bars, or bars with features and signals.
    ours: whether it is a worker of this project.
    closed_only: it leaves windows open that no later event closes, and these are not compared.
    """

    name: str
    title: str
    module: str
    topic: Topic = "json"
    job: Job = "bars"
    options: tuple[str, ...] = ()
    ours: bool = False
    python: str = sys.executable
    closed_only: bool = False


PIPELINE = "bench.pipeline"
BYTEWAX = "bench.peers.bytewax_bars"

FLOOR = Contender("floor", "floor: read and decode only", "bench.floor", job="read")
BARS = Contender("bars", "mdp, bars", PIPELINE, options=("--bars",), ours=True)
ENVELOPE = Contender(
    "envelope", "mdp, bars, envelopes", PIPELINE, topic="envelope", options=("--bars", "--envelopes"), ours=True
)
FULL = Contender("full", "mdp, full job", PIPELINE, job="full", ours=True)
ARROW = Contender("arrow", "mdp, full job, Arrow records", PIPELINE, topic="arrow", job="full", ours=True)
TWO = Contender("two_workers", "mdp, full job, two workers", PIPELINE, job="full", options=("--workers=2",), ours=True)
SHORT = Contender("bars_short", "mdp, bars", PIPELINE, topic="short", options=("--bars",), ours=True)
DOCUMENTED = Contender("bytewax", "Bytewax as documented", BYTEWAX, topic="short")
FROZEN = Contender("bytewax_frozen", "Bytewax, frozen clock, unordered", BYTEWAX, topic="short", options=("--frozen",))
QUIX = Contender("quix", "Quix Streams", "bench.peers.quix_streams", topic="short", python=str(PEERS), closed_only=True)
