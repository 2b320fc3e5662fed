"""One process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.config_file import ConfigError


@contextmanager
def exclusive(file: Path, refusal: str) -> Iterator[None]:
    """Holds a lock file against another process; the system lets go of it when the process ends.

    Raises:
        ConfigError: another process has it; `refusal` says what to do.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(refusal) from None
        yield
