"""What can go wrong with the local stack in a way its user can mend."""

from __future__ import annotations


class LocalStackError(ValueError):
    """The local stack cannot do what was asked; the message is one line and says what to do."""
