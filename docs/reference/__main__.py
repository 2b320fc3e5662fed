"""Write the generated parts into the pages: `python -m docs.reference`, as `make docs` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from docs.reference.api import modules
from docs.reference.commands import commands
from docs.reference.configuration import manifest_table, tables
from docs.reference.markdown import filled
from docs.reference.messages import types

DOCS = Path(__file__).resolve().parents[1]


def pages() -> Mapping[str, str]:
    """The pages with generated parts, by name, as they should be."""
    parts = {
        "configuration.md": tables(),
        "cli.md": {"commands": commands()},
        "api.md": modules(),
        "connectors.md": {"manifest": manifest_table()},
        "messages.md": {"types": types()},
    }
    return {name: filled((DOCS / name).read_text(encoding="utf-8"), part) for name, part in parts.items()}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
