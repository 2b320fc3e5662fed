"""docker-compose.yml as Docker would read it, without Docker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = PROJECT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")


def compose() -> dict[str, Any]:
    """The file with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services that run the project's own image."""
    return {name: service for name, service in services().items() if "build" in service}


def variables(text: str) -> set[str]:
    """The names in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`."""
    return {match[1] for match in _VARIABLE.finditer(text)}


def host_of(address: str) -> str:
    """The host in host:port, or in a URL."""
    return re.sub(r"^\w+://([^@/]*@)?", "", address).split(":")[0]
