"""The errors that people can mend. Every other exception is a fault of the program, and keeps its traceback."""

from __future__ import annotations

from typing import ClassVar


class MdpError(Exception):
    """Something that whoever runs mdp can mend, or wait for.

    Args:
        message: one line that says what is wrong.
        remedy: what to do about it, where the message does not say so itself.
    """

    passes: ClassVar[bool] = False  # whether the same may succeed later, though nobody does anything

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    @property
    def line(self) -> str:
        """What is wrong and what to do, in one line."""
        return f"{self}; {self.remedy}" if self.remedy else str(self)
