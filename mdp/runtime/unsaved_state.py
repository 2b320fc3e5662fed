"""State that cannot be saved: a disk that is full, a folder that takes no files, a database that somebody has locked.

Bytewax panics when SQLite fails, and in a cluster what the panic was about is lost on its way. So the folder is tried.
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
_LOCKED_SECONDS: Final = 5.0  # Bytewax waits as long; the rest of a cluster may be about to end
_SQLITE: Final = re.compile(r'SqliteFailure\(.*?Some\("([^"]*)"\)')
_PANIC: Final = "PanicException"  # Bytewax has it from a crate, and Python cannot import it


class UnsavedState(MdpError):  # noqa: N818 - says what happened
    """The folder of saved state takes no more."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(
            f"state cannot be saved in {folder}: {reason}",
            "make room there, or whatever it needs, and start again: it goes on from the last snapshot",
        )


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Has what Bytewax raises, or panics with, say so where it cannot save.

    Raises:
        UnsavedState: it cannot.
    """
    try:
        yield
    except BaseException as failure:
        if type(failure).__name__ == _PANIC:
            check_room(folder)
        if (told := _SQLITE.search(str(failure))) is not None:
            raise UnsavedState(folder, told[1]) from failure
        raise


def check_room(folder: Path) -> None:
    """Tries to write into the folder, and into the databases in it.

    Raises:
        UnsavedState: one of them does not take it.
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
