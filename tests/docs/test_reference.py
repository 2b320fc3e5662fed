"""The parts of docs/ that the code tells: the pages hold what it says today."""

from __future__ import annotations

import ast
import re

import pytest
from pydantic import BaseModel

from docs.reference.__main__ import DOCS, pages
from docs.reference.api import PUBLIC
from docs.reference.commands import commands
from docs.reference.configuration import keys, tables
from docs.reference.markdown import filled, table
from mdp.ops.topics import TopicsConfig
from tests.docs.page_blocks import blocks
from tests.harness import PACKAGES


@pytest.mark.parametrize("name", ["configuration.md", "cli.md", "api.md", "connectors.md", "messages.md"])
def test_the_page_says_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "write it anew with `make docs`"


def test_a_row_tells_a_keys_bounds_default_and_meaning() -> None:
    assert (
        "| `micro_batch.window_ms` | integer, 1 to 86,400,000 | `2000` "
        "| Length of a tumbling window, aligned to the Unix epoch. |"
    ) in tables()["micro_batch"].splitlines()
    assert "| `inference.adapters.rules.file` | file | — |" in tables()["inference"]
    assert "| `store.url` | secret text | `embedded` |" in tables()["store"]


def test_a_key_without_a_description_is_refused() -> None:
    class Undescribed(BaseModel):
        wait_ms: int = 5

    with pytest.raises(ValueError, match=r"micro_batch\.wait_ms has no description"):
        list(keys(Undescribed, "micro_batch."))


def test_the_topics_file_has_no_other_sections_than_the_page_names() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert set(TopicsConfig.model_fields) == {"defaults", "topics"}
    assert all(f"`{name}`" in page for name in TopicsConfig.model_fields)


def test_the_page_names_every_environment_variable_of_the_project() -> None:
    code = [file.read_text(encoding="utf-8") for part in PACKAGES for file in (DOCS.parent / part).rglob("*.py")]
    named = set(re.findall(r"`(MDP_[A-Z_]+)`", (DOCS / "configuration.md").read_text(encoding="utf-8")))
    assert {name for text in code for name in re.findall(r"\bMDP_[A-Z]+(?:_[A-Z]+)*\b", text)} <= named


def test_the_commands_read_the_same_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = commands()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    assert commands() == before


def test_a_command_has_its_help_its_examples_and_its_options() -> None:
    _, _, run = commands().partition("### mdp stream run\n")
    assert run.startswith("\nProcess events to bars, features and signals, in the database and on the signals topic.\n")
    assert "\nmdp stream run --until-end --workers 2\n" in run.partition("```sh\n")[2].partition("```\n")[0]
    assert "\n| `--workers`, `-w` | integer, 1 to 256 | `1` | Processes on this machine. |\n" in run


def test_what_code_on_the_pages_and_in_a_new_project_imports_is_on_the_page_of_the_api() -> None:
    pages = [(DOCS / name).read_text(encoding="utf-8") for name in ("extending.md", "tutorial.md")]
    code = [one.text for page in pages for one in blocks(page) if one.language == "python"]
    code += [file.read_text(encoding="utf-8") for file in (DOCS.parent / "mdp" / "init" / "template").rglob("*.py.txt")]
    imported = {
        (node.module, name.name)
        for text in code
        for node in ast.walk(ast.parse(text.replace("__package__", "own")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES
        for name in node.names
    }
    assert imported
    public = {(module, name) for module, names in PUBLIC.items() for name in names}
    assert {(module, name) for module, name in imported if f"{module}.{name}" not in PUBLIC} <= public


def test_a_part_without_a_place_and_a_place_without_a_part_are_refused() -> None:
    page = "# Page\n\n<!-- generated: one -->\nold\n<!-- end -->\n"
    assert filled(page, {"one": "new"}) == "# Page\n\n<!-- generated: one -->\n\nnew\n\n<!-- end -->\n"
    for parts in ({}, {"one": "new", "two": "more"}):
        with pytest.raises(ValueError, match="the page has markers for"):
            filled(page, parts)


def test_a_bar_inside_a_cell_does_not_end_it() -> None:
    assert table(("a",), [("x | y",)]).splitlines()[-1] == "| x \\| y |"
