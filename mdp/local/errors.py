"""Errors of the local stack that its user can fix."""

from __future__ import annotations

from contracts.errors import MdpError


class LocalStackError(MdpError):
    """The local stack cannot do as requested; the message is one line and says what to do."""
