"""The errors that users can fix. Every other exception is a bug in the program, and keeps its traceback."""

from __future__ import annotations

from typing import ClassVar


class MdpError(Exception):
    """An error that the user of mdp can fix, or wait out.

    Args:
        message: one line that says what is wrong.
        remedy: what to do about it, unless the message says so itself.
    """

    passes: ClassVar[bool] = False  # whether it may be transient

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    @property
    def line(self) -> str:
        """The message and the remedy, in one line."""
        return f"{self}; {self.remedy}" if self.remedy else str(self)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, such as PostgreSQL's without details and hints; its type without one."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
