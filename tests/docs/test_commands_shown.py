"""The commands that the pages show are commands that there are, with options that they have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mdp.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
ROOT = typer.main.get_command(app)


def shown(page: Path) -> list[list[str]]:
    """Every `mdp` command of a page, in words: one per command of a line, lines joined where they go on."""
    text = re.sub(r" *\\\n\s*", " ", page.read_text(encoding="utf-8"))
    lines = re.findall(r"^ *\$ (.*\bmdp\b.*)$", text, re.MULTILINE)
    return [words[words.index("mdp") :] for line in lines for words in split(lexed(line)) if "mdp" in words]


def lexed(line: str) -> list[str]:
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return list(words)


def split(words: list[str]) -> list[list[str]]:
    """The commands between `|`, `&&`, `;` and the like."""
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("|&;<>()"):
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_are_known(page: Path) -> None:
    for words in shown(page):
        command: Any = ROOT
        rest = words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        assert not hasattr(command, "commands") or rest in ([], ["--help"]), " ".join(words)
        known = {"--help", "-h", *(name for one in command.params for name in one.opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known, " ".join(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_are_known(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^ *(?:\$ )?make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets
