"""Text of any origin, so that a terminal shows it instead of obeying it."""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """`text` with everything escaped that a terminal could take for a command."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_json(text: str) -> str:
    """The same JSON with everything escaped that a terminal could take for a command; such stands in strings only."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
