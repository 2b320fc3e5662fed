"""Detects state that cannot be saved: a full disk, a read-only folder, or a locked database.

Bytewax panics when SQLite fails, and in a cluster the reason of the panic is lost. So the folder is tested.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from contracts.errors import MdpError

_LEAST_BYTES: Final = 1 << 18
_LOCKED_SECONDS: Final = 5.0  # as long as Bytewax waits; other processes of the cluster may be ending
_SQLITE: Final = re.compile(r'SqliteFailure\(.*?Some\("([^"]*)"\)')
_PANIC: Final = "PanicException"  # a class of Bytewax's Rust library, which Python cannot import


class UnsavedState(MdpError):  # noqa: N818 - says what happened
    """State cannot be saved in its folder."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(
            f"state cannot be saved in {folder}: {reason}",
            "free disk space there, or fix the reason, and start again: it resumes from the last snapshot",
        )


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns exceptions and panics of Bytewax into UnsavedState if state cannot be saved.

    Raises:
        UnsavedState: state cannot be saved.
    """
    try:
        yield
    except BaseException as failure:
        if type(failure).__name__ == _PANIC:
            check_room(folder)
        if (found := _SQLITE.search(str(failure))) is not None:
            raise UnsavedState(folder, found[1]) from failure
        raise


def check_room(folder: Path) -> None:
    """Tests writes to the folder, and to the databases in it.

    Raises:
        UnsavedState: a write fails.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_LEAST_BYTES))
            file.flush()
        for part in folder.glob("part-*.sqlite3"):
            with closing(sqlite3.connect(part, timeout=_LOCKED_SECONDS, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
    except OSError as error:
        raise UnsavedState(folder, error.strerror) from error
    except sqlite3.Error as error:
        raise UnsavedState(folder, error) from error
