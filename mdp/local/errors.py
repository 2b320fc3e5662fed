"""What can go wrong with the local stack in a way its user can mend."""

from __future__ import annotations

from contracts.errors import MdpError


class LocalStackError(MdpError):
    """The local stack cannot do what was asked; the message is one line and says what to do."""
