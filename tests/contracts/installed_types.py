"""A package of somebody else's that brings types of messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.registry import message_types


@contextmanager
def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str, entry_points: str
) -> Iterator[None]:
    """A module in `folder`, as of an installed package that announces it by these lines of entry points."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    package = folder / f"{module}-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(entry_points)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(folder)
        message_types.cache_clear()
        yield
    sys.modules.pop(module, None)
    message_types.cache_clear()
