"""The code blocks of the pages: each one fenced and in one language, so that what is copied from it runs as it is.

Commands stand in blocks of `sh`, without a prompt; what they print stands in blocks of `text` or in none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md"))]
_OPERATORS = set("|&;()")


class Block(NamedTuple):
    """A fenced block: under which heading of the second level it stands, and its text without the fence's indent."""

    title: str
    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page in Markdown, in their order."""
    title = ""
    for heading, indent, language, text in re.findall(
        r"^## ([^\n]+)$|^( *)```([^\n]*)\n(.*?)^\2```$", page, re.DOTALL | re.MULTILINE
    ):
        title = heading or title
        if not heading:
            yield Block(title, language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE))


def block(page: str, title: str, language: str, number: int = 0) -> str:
    """The `number`-th block of a language in the part of a page under a heading."""
    return [one.text for one in blocks(page) if (one.title, one.language) == (title, language)][number]


def outside(page: str) -> str:
    """What of a page stands in no fenced block."""
    return re.sub(r"^( *)```.*?^\1```$", "", page, flags=re.DOTALL | re.MULTILINE)


def commands(shell: str) -> list[list[str]]:
    """The commands of a block of `sh`, in words; what stands between `|`, `&&`, `;` and the like is one each."""
    found: list[list[str]] = []
    for line in re.sub(r" *\\\n\s*", " ", shell).splitlines():
        lexer = shlex.shlex(re.sub(r"[<>]+ *\S+", "", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found.append([])
        for word in lexer:
            if set(word) <= _OPERATORS:
                found.append([])
            else:
                found[-1].append(word)
    return [words for words in map(_without_variables, found) if words]


def _without_variables(words: list[str]) -> list[str]:
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words
