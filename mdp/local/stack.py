"""The local stack: one Kafka broker and one PostgreSQL server that belong to one folder."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from mdp.local import placement, ports
from mdp.local.errors import LocalStackError
from mdp.local.kafka import Kafka
from mdp.local.postgres import Postgres
from mdp.local.records import read_record, write_record
from sinks.conninfo import with_passfile

LOCK_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of a stack's services: `kafka` as bootstrap.servers, `postgres` as a URL, `passfile` for libpq."""

    kafka: str
    postgres: str
    passfile: str

    @property
    def conninfo(self) -> str:
        """The connection string for psycopg and libpq."""
        return with_passfile(self.postgres, self.passfile)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The status of a service: `address` is None before its first start, `pid` while it is stopped."""

    name: str
    address: str | None
    pid: int | None
    answers: bool
    log: Path


class LocalStack:
    """The services under the folder `root`, which also holds their data, so that several stacks can coexist.

    The services keep running when the process that started them ends, and any other `LocalStack` of the same root finds
    them. `kafka` and `postgres` can be started, stopped and killed separately.
    """

    def __init__(self, root: Path = Path(".mdp")) -> None:
        self.root = root.absolute()
        self.kafka = Kafka(self.root)
        self.postgres = Postgres(self.root)
        self.endpoints_file = self.root / "endpoints.json"

    @property
    def endpoints(self) -> Endpoints | None:
        """The addresses of the services since the last `up`, None before the first."""
        record = read_record(self.endpoints_file)
        return None if record is None else Endpoints(**record)

    def up(self, progress: Callable[[str], None] = lambda _: None) -> Endpoints:
        """Start the services that do not run, and return when both are proved ready.

        Raises LocalStackError if a service cannot start; services started by this call are stopped again.
        """
        with self._exclusively():
            stopped = [service for service in (self.kafka, self.postgres) if service.process.pid is None]
            try:
                with ThreadPoolExecutor(2) as pool:
                    for start in [pool.submit(service.start, progress) for service in (self.kafka, self.postgres)]:
                        start.result()
            except BaseException:
                for service in stopped:
                    service.stop()
                raise
            endpoints = Endpoints(self.kafka.bootstrap, self.postgres.url, str(self.postgres.passfile))
            write_record(self.endpoints_file, asdict(endpoints))
            return endpoints

    def down(self) -> None:
        """Stop both services cleanly and keep their data; does nothing if they do not run."""
        if self.root.exists():
            with self._exclusively():
                self._stop()

    def remove(self) -> None:
        """Stop both services and delete their data and all other files of the stack, except the cache."""
        if not self.root.exists():
            return
        with self._exclusively():
            self._stop()
            if self.postgres.settings is not None:
                placement.remove(Path(self.postgres.settings.folder))
            for folder in (self.kafka.folder, self.root / "logs"):
                shutil.rmtree(folder, ignore_errors=True)
            records = (self.kafka.settings_file, self.postgres.settings_file, self.postgres.passfile)
            for file in (*records, self.endpoints_file, self.root / "lock"):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the folder may hold other files
            self.root.rmdir()

    def status(self) -> list[ServiceStatus]:
        """Return for each service whether it runs and whether it answers."""
        kafka, postgres = self.kafka, self.postgres
        found = []
        for service, settings in ((kafka, kafka.settings), (postgres, postgres.settings)):
            pid = service.process.pid
            answers = pid is not None and settings is not None and ports.answers(settings.port)
            address = f"{ports.HOST}:{settings.port}" if settings else None
            found.append(ServiceStatus(service.process.name, address, pid, answers, service.process.log_file))
        return found

    def _stop(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            for stop in [pool.submit(service.stop) for service in (self.kafka, self.postgres)]:
                stop.result()

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        # The system releases the lock when its holder ends, in whatever way: no stale lock is possible.
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            if not ports.wait_until(lambda: _locked(lock.fileno()), LOCK_SECONDS):
                raise LocalStackError(
                    f"another process is starting or stopping the stack in {self.root}: try again later"
                )
            yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
