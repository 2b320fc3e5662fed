"""The commands that the pages show can be copied as they stand, and are known, as are their options."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mdp.cli import app
from mdp.ops.topics import load as load_topics
from tests.docs.page_blocks import PAGES, PROJECT, blocks, commands, outside

ROOT = typer.main.get_command(app)
LANGUAGES = {"sh", "text", "python", "yaml", "toml", "json", "ini", "sql", "promql", "diff"}
COMMANDS = (
    "mdp make python python3 pip docker kubectl psql curl cat cd chmod cp grep jq tail umask . kafka-transactions.sh"
)
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def shown(page: Path) -> Iterator[list[str]]:
    for one in blocks(page.read_text(encoding="utf-8")):
        if one.language == "sh":
            yield from commands(one.text)


def test_blocks_and_commands_are_found_where_they_stand() -> None:
    page = """
## One

1. a list
    ```sh
    A=b mdp up --json > file && cd here   # and more
    mdp store bars \\
        --symbol SPY | cat
    ```

## Two

```text
$ no command
```
"""
    one, two = blocks(page)
    assert (one.title, one.language, two.title, two.text) == ("One", "sh", "Two", "$ no command\n")
    bars = ["mdp", "store", "bars", "--symbol", "SPY"]
    assert commands(one.text) == [["mdp", "up", "--json"], ["cd", "here"], bars, ["cat"]]
    assert outside(page).split() == ["##", "One", "1.", "a", "list", "##", "Two"]


@EACH
def test_every_block_is_fenced_and_says_its_language(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {one.language for one in blocks(text)} <= LANGUAGES
    assert not re.findall(r"\n\n {4}.*", outside(text)), "a block that is only indented has no language"


@EACH
def test_a_block_of_commands_holds_nothing_else(page: Path) -> None:
    for one in blocks(page.read_text(encoding="utf-8")):
        assert not re.search(r"^\s*\$ ", one.text, re.MULTILINE), one.text
        if one.language == "sh":
            read = subprocess.run(["sh", "-n"], input=one.text, text=True, capture_output=True, check=False)
            assert (read.returncode, read.stderr) == (0, ""), one.text
    assert {words[0] for words in shown(page)} <= set(COMMANDS.split())


def arguments(words: list[str]) -> list[str] | None:
    """What follows `mdp`, as the program or as what runs in a container; None where it is no more than a name."""
    if words[0] == "mdp":
        return words[1:]
    ran = words[words.index("exec") :] if "exec" in words else []
    return ran[ran.index("mdp") + 1 :] if "mdp" in ran else None


@EACH
def test_commands_and_their_options_are_known(page: Path) -> None:
    for words in shown(page):
        command: Any = ROOT
        rest = arguments(words)
        if rest is None:
            continue
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        rest = rest[: rest.index("--")] if "--" in rest else rest  # what follows is for another program
        assert not hasattr(command, "commands") or rest in ([], ["--help"]), " ".join(words)
        known = {"--help", "-h", *(name for one in command.params for name in one.opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known, " ".join(words)


@EACH
def test_targets_of_make_are_known(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {words[1] for words in shown(page) if words[0] == "make" and len(words) > 1} <= targets


@EACH
def test_topics_that_commands_name_are_those_of_the_configs(page: Path) -> None:
    named = {
        name
        for words in shown(page)
        for name in re.findall(r"(?:--topic |topic=)(mdp[\w.]+)", " ".join(words).replace("--to-topic ", "--topic "))
    }
    assert named <= set(load_topics(PROJECT / "configs" / "topics.yaml"))
