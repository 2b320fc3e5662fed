from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows import secrets
from mdp.cli import main
from tests.cli.cli_result import Mdp, Result
from tests.security.certificates import Certificates
from tests.security.secure_kafka import SecureKafka
from tests.security.secure_postgres import SecurePostgres

KAFKA_PASSWORD = "kafka-9f3b7c'\"\\1d"
DATABASE_PASSWORD = "database/51 e0%c2"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine get in, and nothing that a command leaves gets out."""
    monkeypatch.setenv("MDP_CONFIG", "configs/streaming.yaml")
    monkeypatch.setenv("MDP_OVERRIDES", "[]")
    monkeypatch.setenv("MDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("KAFKA_BROKERS", "DATABASE_URL", "MDP_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(secrets, "_known", set())


@pytest.fixture
def mdp(capsys: pytest.CaptureFixture[str]) -> Mdp:
    """Runs a command in this process."""

    def run(*arguments: str | Path) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def secrets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the file that MDP_SECRETS names."""

    def write(text: str, mode: int = 0o600) -> Path:
        path = tmp_path / "secrets.env"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        monkeypatch.setenv("MDP_SECRETS", str(path))
        return path

    return write


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secure_kafka(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    kafka = SecureKafka(tmp_path_factory.mktemp("secure-kafka"), certificates, KAFKA_PASSWORD)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="session")
def secure_postgres(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecurePostgres]:
    postgres = SecurePostgres(tmp_path_factory.mktemp("secure-postgres"), certificates, DATABASE_PASSWORD)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()
