"""Pieces of Markdown, and pages that hold them between markers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a `|` in a cell is escaped, so that it does not end the cell."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def choice(texts: Sequence[str]) -> str:
    """One of these: `a, b or c`."""
    return " or ".join(part for part in (", ".join(texts[:-1]), texts[-1]) if part)


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each part between its markers, `<!-- generated: name -->` and `<!-- end -->`.

    Raises:
        ValueError: the page lacks the marker of a part, or has one of an unknown part.
    """
    places = re.findall(r"^<!-- generated: (\S+) -->$", page, re.MULTILINE)
    if sorted(places) != sorted(parts):
        raise ValueError(f"the page has markers for {sorted(places)}, but the parts are {sorted(parts)}")
    return re.sub(
        r"^(<!-- generated: (\S+) -->)$.*?^(<!-- end -->)$",
        lambda match: f"{match[1]}\n\n{parts[match[2]]}\n\n{match[3]}",
        page,
        flags=re.MULTILINE | re.DOTALL,
    )
