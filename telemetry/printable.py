"""Escapes untrusted text, so that a terminal does not interpret it."""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """Returns `text` with everything escaped that a terminal could interpret as a command."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_json(text: str) -> str:
    """Returns equivalent JSON without characters that a terminal could interpret, which occur in strings only."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
