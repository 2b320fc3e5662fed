"""The folders of a project: configs, data of the local stack, and saved state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

HOME: Final = "MDP_HOME"

CONFIG: Final = Path("configs/streaming.yaml")
SHIPPED: Final = Path(__file__).resolve().parent.parent / "configs"  # next to the sources, in a checkout or installed
_IS_CHECKOUT: Final = (SHIPPED.parent / "pyproject.toml").exists()


def folder() -> Path:
    """The working directory if it has a config, or if mdp is installed; else the checkout."""
    here = Path.cwd()
    return SHIPPED.parent if _IS_CHECKOUT and not (here / CONFIG).exists() else here


def home() -> Path:
    """The folder of the local stack and of saved state: $MDP_HOME, or .mdp in the project."""
    return Path(os.environ.get(HOME) or folder() / ".mdp")
