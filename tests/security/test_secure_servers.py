"""The pipeline on a broker with TLS and SCRAM and on a database with TLS: to its end, and where it may not go there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psycopg
import pytest
import yaml

from flows.config_file import load
from mdp.runtime.errors import explain
from tests.cli.cli_result import Mdp
from tests.harness import PROJECT, SECONDS, STOPPED, until
from tests.security.certificates import Certificates
from tests.security.secure_kafka import SecureKafka
from tests.security.secure_postgres import SecurePostgres

TOPICS = ("mdp.events", "mdp.signals", "mdp.bars", "mdp.events.dlq", "mdp.events.late", "mdp.replay")
MDP = [sys.executable, "-c", "from mdp.cli import main; main()"]


class Secured(NamedTuple):
    """A deployment on both servers: its config, which holds no secrets, and the file that does."""

    config: Path
    secrets: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "MDP_SECRETS": str(self.secrets), "MDP_HOME": str(self.home)}


def url(postgres: SecurePostgres, **changes: str) -> str:
    """The database as a URL with its password inside, as such are written."""
    part = {"host": "127.0.0.1", "password": postgres.password, "sslmode": "verify-full"}
    part |= {"sslrootcert": str(postgres.certificates.authority), **changes}
    address = f"{postgres.user}:{quote(part['password'], safe='')}@{part['host']}:{postgres.port}"
    return f"postgresql://{address}/postgres?sslmode={part['sslmode']}&sslrootcert={part['sslrootcert']}"


@pytest.fixture(scope="session")
def secured(
    secure_kafka: SecureKafka, secure_postgres: SecurePostgres, tmp_path_factory: pytest.TempPathFactory
) -> Secured:
    folder = tmp_path_factory.mktemp("secured")
    rules = [{"name": "seen", "condition": "close > 0", "signal": 1.0, "score": 1.0}]
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    topics = {name: {"partitions": 2} for name in TOPICS} | {"mdp.control.v1.replay_requests": {"partitions": 1}}
    (folder / "topics.yaml").write_text(yaml.safe_dump({"topics": topics}))
    options = {**secure_kafka.options, "sasl.password": "${KAFKA_PASSWORD}"}
    tree = {
        "bus": {"kafka": {"brokers": secure_kafka.bootstrap, "options": options}},
        "store": {"url": "${DATABASE_URL}"},
        "inference": {"adapters": {"rules": {"file": "rules.yaml"}}},
        "telemetry": {"metrics_port": 0, "log_level": "DEBUG"},
        "recovery": {"interval_s": 1},
    }
    (folder / "streaming.yaml").write_text(yaml.safe_dump(tree))
    secrets = folder / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text(f"KAFKA_PASSWORD={secure_kafka.password}\nDATABASE_URL={url(secure_postgres)}\n")
    return Secured(folder / "streaming.yaml", secrets, folder / "home")


class Ran(NamedTuple):
    said: str
    arguments: list[str]


@pytest.fixture(scope="session")
def ran(secured: Secured, secure_postgres: SecurePostgres) -> Ran:
    """Topics, events, a run to their end, and a live cluster of two that has come as far: what all of it said."""
    said = ""
    for command in (
        "topics apply",
        "stream produce --provider synthetic --count 3000 --rate 1000000 --symbols 4",
        "stream run --until-end",
    ):
        done = subprocess.run(
            [*MDP, *command.split(), "--config", str(secured.config)],
            cwd=PROJECT,
            env=secured.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    said_live, arguments = live(secured, secure_postgres)
    return Ran(said + said_live, arguments)


def live(secured: Secured, postgres: SecurePostgres) -> tuple[str, list[str]]:
    """What a cluster of two says until it is stopped, and the command lines of its processes."""
    log = secured.home.parent / "live.log"
    with log.open("wb") as file:
        command = [*MDP, "stream", "run", "--workers", "2", "--name", "live", "--config", str(secured.config)]
        process = subprocess.Popen(command, cwd=PROJECT, env=secured.environment, stdout=file, stderr=file)
    try:
        until(lambda: written(postgres, "live") >= 3000 or process.poll() is not None, "the log as rows")
        arguments = [arguments_of(pid) for pid in (process.pid, *descendants(process.pid))]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
    assert process.returncode in STOPPED, log.read_text()[-3000:]
    return log.read_text(), arguments


def written(postgres: SecurePostgres, name: str) -> int:
    statement = "SELECT coalesce(sum(next_offset), 0)::int FROM progress WHERE flow LIKE %s"
    with psycopg.connect(postgres.conninfo()) as connection:
        row = connection.execute(statement, [f"{name}-%"]).fetchone()
    return int(row[0]) if row else 0


def arguments_of(pid: int) -> str:
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents if parent == ancestor]
    return found[1:]


def hides(text: str, *passwords: str) -> bool:
    """Whether no password stands in the text, in any form that a program would write."""
    return not any(form in text for word in passwords for form in (word, repr(word)[1:-1], quote(word, safe="")))


@pytest.fixture
def passwords(secure_kafka: SecureKafka, secure_postgres: SecurePostgres) -> tuple[str, str]:
    return secure_kafka.password, secure_postgres.password


def test_a_flow_over_tls_writes_its_bars_and_signals(ran: Ran, secure_postgres: SecurePostgres) -> None:
    with psycopg.connect(secure_postgres.conninfo()) as connection:
        trades = connection.execute("SELECT sum(trades)::int FROM bars_ohlcv").fetchone()
        signals = connection.execute("SELECT count(*) > 0 FROM signals").fetchone()
    assert (trades, signals) == ((3000,), (True,))


def test_connections_of_the_pipeline_are_encrypted(ran: Ran, secure_postgres: SecurePostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(secure_postgres.conninfo(sslmode="disable"))


def test_what_was_written_can_be_read_over_tls(
    ran: Ran, secured: Secured, mdp: Mdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_SECRETS", str(secured.secrets))
    signals = mdp("stream", "tail", "--topic", "mdp.signals", "--config", secured.config)
    assert (signals.code, signals.out.count("name=seen")) == (0, len(signals.out.splitlines())), signals.err
    assert "name=seen" in signals.out


def test_passwords_are_in_no_output_log_argument_or_record_of_a_run(
    ran: Ran, secure_postgres: SecurePostgres, passwords: tuple[str, str]
) -> None:
    assert hides(ran.said, *passwords)
    assert len(ran.arguments) >= 4  # the cluster, its fork server, and two workers
    assert all(arguments and hides(arguments, *passwords) for arguments in ran.arguments)
    with psycopg.connect(secure_postgres.conninfo()) as connection:
        runs = [str(run) for (run,) in connection.execute("SELECT job_runs::text FROM job_runs")]
    assert len(runs) == 2
    assert all("sasl.password" in run and hides(run, *passwords) for run in runs)


def test_passwords_are_in_no_form_of_the_settings(
    secured: Secured, passwords: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_SECRETS", str(secured.secrets))
    settings = load(secured.config, [])
    assert settings.bus.kafka.client()["sasl.password"] == passwords[0]
    forms = (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()))
    assert all(hides(form, *passwords) for form in forms)


def refused(mdp: Mdp, secured: Secured, words: tuple[str, ...], *arguments: str) -> str:
    """What a command says that must not come through."""
    result = mdp(*arguments, "--config", secured.config)
    assert (result.code, result.out) == (2, ""), result
    assert result.err.startswith("error: "), result
    assert result.err.count("\n") == 1, result
    assert all(word in result.err for word in words), result.err
    return result.err


KAFKA_REFUSALS = {
    "authority": (("certificate", "ssl.ca.location"), "stream tail"),
    "name": (("localhost", "certificate", "bus.kafka.brokers"), "topics apply"),
    "password": (("sasl.password in bus.kafka.options",), "stream run --until-end"),
    "mechanism": (("SCRAM-SHA-512", "sasl.mechanism"), "stream produce --provider synthetic --count 1"),
    "file": (("ssl.ca.location", "correct bus.kafka.options"), "stream tail"),
}


@pytest.mark.parametrize("wrong", KAFKA_REFUSALS)
def test_a_broker_that_cannot_be_trusted_or_does_not_trust_us_ends_in_one_line(
    mdp: Mdp,
    secured: Secured,
    secure_kafka: SecureKafka,
    secure_postgres: SecurePostgres,
    certificates: Certificates,
    secrets_file: Callable[..., Path],
    wrong: str,
) -> None:
    password = "another-guess" if wrong == "password" else secure_kafka.password
    secrets_file(f"KAFKA_PASSWORD={password}\nDATABASE_URL={url(secure_postgres)}\n")
    change = {
        "authority": f"bus.kafka.options.ssl.ca.location={certificates.stranger}",
        "name": f"bus.kafka.brokers=localhost:{secure_kafka.port}",
        "password": "version=1",
        "mechanism": "bus.kafka.options.sasl.mechanism=PLAIN",
        "file": "bus.kafka.options.ssl.ca.location=/no/such.pem",
    }[wrong]
    words, command = KAFKA_REFUSALS[wrong]
    said = refused(mdp, secured, words, *command.split(), "--set", change)
    assert hides(said, password, secure_postgres.password)


DATABASE_REFUSALS = {
    "authority": ("certificate verify failed", "sslrootcert in store.url"),
    "name": ("does not match host name", "the name in the server's certificate"),
    "password": ("password authentication failed", "correct the user and the password in store.url"),
    "encryption": ("no encryption", "sslmode=verify-full in store.url"),
    "file": ("/no/such.pem", "sslrootcert in store.url"),
}


@pytest.mark.parametrize("wrong", ["kafka", "database"])
def test_a_run_that_could_continue_does_not_wait_for_a_password_to_become_right(
    ran: Ran,
    mdp: Mdp,
    secured: Secured,
    secure_kafka: SecureKafka,
    secure_postgres: SecurePostgres,
    secrets_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
) -> None:
    monkeypatch.setenv("MDP_HOME", str(secured.home))
    kafka = "another-guess" if wrong == "kafka" else secure_kafka.password
    database = url(secure_postgres, **({"password": "another-guess"} if wrong == "database" else {}))
    secrets_file(f"KAFKA_PASSWORD={kafka}\nDATABASE_URL={database}\n")
    words = {"kafka": ("sasl.password",), "database": ("password in store.url",)}[wrong]
    refused(mdp, secured, words, "stream", "run", "--until-end", "--name", "live")


@pytest.mark.parametrize("command", ["store bars --symbol SPY", "stream run --until-end"])
@pytest.mark.parametrize("wrong", DATABASE_REFUSALS)
def test_a_database_that_cannot_be_trusted_or_does_not_trust_us_ends_in_one_line(
    ran: Ran,
    mdp: Mdp,
    secured: Secured,
    secure_kafka: SecureKafka,
    secure_postgres: SecurePostgres,
    certificates: Certificates,
    secrets_file: Callable[..., Path],
    wrong: str,
    command: str,
) -> None:
    changes = {
        "authority": {"sslrootcert": str(certificates.stranger)},
        "name": {"host": "localhost"},
        "password": {"password": "another-guess"},
        "encryption": {"sslmode": "disable"},
        "file": {"sslrootcert": "/no/such.pem"},
    }[wrong]
    secrets_file(f"KAFKA_PASSWORD={secure_kafka.password}\nDATABASE_URL={url(secure_postgres, **changes)}\n")
    said = refused(mdp, secured, DATABASE_REFUSALS[wrong], *command.split())
    assert hides(said, secure_kafka.password, secure_postgres.password, "another-guess")


def test_a_password_inside_a_message_of_a_library_is_masked(
    secured: Secured, passwords: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_SECRETS", str(secured.secrets))
    load(secured.config, [])
    for password in passwords:
        said = explain(psycopg.OperationalError(f"no such thing as {password} or {password!r} here")) or ""
        assert hides(said, password)
        assert said.count("**********") == 2
