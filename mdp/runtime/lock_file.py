"""One process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from flows.config_file import ConfigError

HANDOVER_SECONDS: Final = 6.0  # workers that have lost who started them end within 5 s
_LOOK_SECONDS: Final = 0.1


@contextmanager
def exclusive(file: Path, refusal: str, *, with_workers: bool = False) -> Iterator[None]:
    """Holds a lock file against other processes; the system releases it when the process ends.

    Args:
        file: the lock, in a folder that is made if need be.
        refusal: says what to do where another process has it.
        with_workers: processes that are started meanwhile hold it too, until the last of them has ended. So it is
            waited for as long as those take that have lost who started them.

    Raises:
        ConfigError: another process has it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        _lock(lock, refusal, HANDOVER_SECONDS if with_workers else 0.0)
        os.set_inheritable(lock.fileno(), with_workers)
        yield


def _lock(lock: IO[str], refusal: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ConfigError(refusal) from None
            time.sleep(_LOOK_SECONDS)
        else:
            return
