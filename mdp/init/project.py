"""Writes a project: the default configs, and the template with its names filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from contracts.errors import MdpError
from flows.project import SHIPPED

_TEMPLATE: Final = Path(__file__).with_name("template")
_CONFIGS: Final = ("streaming.yaml", "rules.yaml", "topics.yaml")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,40}")  # as `name` in the config
_ADAPTERS: Final = "  adapters:\n"
_OWN_ADAPTER: Final = "    __package__:\n      lookback: 1m          # of the evaluator in __package__/\n"


class InitError(MdpError):
    """The project cannot be written."""


def create(folder: Path) -> list[Path]:
    """Writes a project named after its folder; returns the files, relative to it, in the order of writing.

    Raises:
        InitError: the folder's name is not valid for a project, or a file exists already.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise InitError(
            f"{name!r} is not a valid project name: use a small letter, then up to 40 of a-z, 0-9, `_` and `-`"
        )
    words = {"__package__": name.replace("-", "_"), "__project__": name, "__version__": version("mdp")}
    files = {Path(_filled(str(path), words)): _filled(text, words) for path, text in _texts()}
    if present := [path for path in files if (folder / path).exists()]:
        raise InitError(f"{folder / present[0]} exists already: choose a folder without it")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return list(files)


def _texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(_TEMPLATE.rglob("*.txt")):
        yield path.relative_to(_TEMPLATE).with_suffix(""), path.read_text(encoding="utf-8")
    for name in _CONFIGS:
        text = (SHIPPED / name).read_text(encoding="utf-8")
        if name == "streaming.yaml":
            text = text.replace("\nname: mdp  ", "\nname: __project__  ").replace(_ADAPTERS, _ADAPTERS + _OWN_ADAPTER)
        yield Path("configs") / name, text


def _filled(text: str, words: dict[str, str]) -> str:
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text
