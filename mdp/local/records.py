"""The small files with a stack's settings, written atomically and readable by their owner only."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mdp.local.errors import LocalStackError


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text`, mode 0600, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write `record` as JSON, as `write_private` does."""
    write_private(path, json.dumps(record, indent=2) + "\n")


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in `path`, or None if the file does not exist.

    Raises LocalStackError if the file holds something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise LocalStackError(f"{path} is damaged: it is not a JSON object; repair or delete it")
    return record
