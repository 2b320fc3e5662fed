"""Errors of files."""

from __future__ import annotations

from contracts.errors import MdpError


class FileError(MdpError):
    """A file is missing, or does not hold what was expected; one line names it, and the row if it is a single one."""
