from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Mdp = Callable[..., Result]
Config = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Topic = Callable[..., str]
