"""The folder of a flow's saved state: created for one config, and used by one run at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bytewax.recovery import RecoveryConfig, init_db_dir

from flows.config_file import ConfigError
from flows.project import home
from flows.settings import Settings
from flows.spec import FlowSpec
from flows.state_shape import Shape, check_shape, state_shape
from mdp.runtime.unsaved_state import check_room

_SHAPE: Final = "shape.json"
_HANDOVER_SECONDS: Final = 6.0  # workers that have lost their parent end within 5 s
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class SavedState:
    """The snapshots of one flow under one name.

    Attributes:
        folder: Bytewax's recovery store, and the shape of the state in it.
        shape: of the state under the config.
    """

    folder: Path
    shape: Shape

    @classmethod
    def of(cls, settings: Settings, flow: FlowSpec) -> SavedState | None:
        """None for a run over a part of the log, which saves no state: it must not change that of a live run."""
        if settings.run.is_span:
            return None
        base = Path(settings.recovery.directory) if settings.recovery.directory else home() / "recovery"
        return cls(base / flow.owner(settings), state_shape(settings, flow))

    @property
    def exists(self) -> bool:
        """Whether this flow has been started here before."""
        return self.folder.exists()

    @property
    def is_in_use(self) -> bool:
        """Whether a run uses it now."""
        lock = self.folder.with_suffix(".lock")
        if not lock.exists():
            return False
        with lock.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def config_of(self, machine: int) -> RecoveryConfig:
        """Bytewax's recovery config on one of the machines of a cluster.

        All snapshots are on the first machine. Bytewax asks the processes which of them has what; the others have empty
        folders, so that no state has to be moved, or be on a shared disk, when the number of machines changes.
        """
        if machine == 0:
            return RecoveryConfig(str(self.folder))
        empty = self.folder.with_name(f"{self.folder.name}-{machine}.empty")
        empty.mkdir(parents=True, exist_ok=True)
        return RecoveryConfig(str(empty))

    def check(self) -> None:
        """Checks that saved state, if any, can be resumed.

        Raises:
            StateMismatch: it was made with another config.
            ConfigError: it is damaged.
        """
        if self.exists:
            check_shape(self._saved_shape(), self.shape)

    def prepare(self, *, reset: bool) -> None:
        """Creates the folder if it is missing; with `reset`, discards its contents.

        Raises:
            UnsavedState: state cannot be saved there.
        """
        if reset and self.exists:
            shutil.rmtree(self.folder)
        if not self.exists:
            self._create()
        check_room(self.folder)

    def _saved_shape(self) -> Shape:
        try:
            shape: Shape = json.loads((self.folder / _SHAPE).read_text(encoding="utf-8"))
            for part in _parts(self.folder):
                with closing(sqlite3.connect(f"file:{part}?mode=ro", uri=True)) as database:
                    database.execute("PRAGMA schema_version")
        except (OSError, ValueError, sqlite3.Error) as error:
            raise ConfigError(
                f"saved state in {self.folder} is damaged ({error}): read the log again with --reset-state"
            ) from None
        return shape

    def _create(self) -> None:
        """Creates it under a temporary name first, so that a crash leaves a complete folder or none."""
        unfinished = self.folder.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        check_room(unfinished)
        init_db_dir(unfinished, 1)
        (unfinished / _SHAPE).write_text(json.dumps(self.shape, indent=1), encoding="utf-8")
        unfinished.rename(self.folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the state for this run, until it and all its processes have ended.

        Two runs that save to one folder would mix their epochs.

        Raises:
            ConfigError: another run holds the lock, and does not end within a few seconds.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_suffix(".lock").open("a+", encoding="utf-8") as file:
            _lock(file, self.folder)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            os.set_inheritable(file.fileno(), True)
            yield


def _parts(folder: Path) -> list[Path]:
    """The databases of Bytewax's snapshots: one, as requested from `init_db_dir`."""
    parts = sorted(folder.glob("part-*.sqlite3"))
    if not parts:
        raise FileNotFoundError("it contains no snapshots")
    return parts


def _lock(file: IO[str], folder: Path) -> None:
    deadline = time.monotonic() + _HANDOVER_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.seek(0)
                raise ConfigError(
                    f"process {file.read()} already runs this flow, with the state in {folder}: "
                    f"stop it, or give this one another --name"
                ) from None
            time.sleep(_LOOK_SECONDS)
        else:
            return
