"""Secrets come from the environment or from a file of their own, and are shown nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import yaml
from confluent_kafka import KafkaError, KafkaException

from contracts.errors import MdpError
from flows.config_file import ConfigError, load
from flows.secrets import SecretsError
from mdp.cli import main
from mdp.runtime.errors import explain, one_line, print_traceback
from mdp.runtime.log_format import LogFormat
from tests.cli.cli_result import Mdp

SECRET = "hunter2-and-more"
QUOTES = str.maketrans("", "", "'\"")
ENCODED, DECODED = "p%2Fword%20'%C3%A9", "p/word 'é"
TREE = {
    "bus": {"kafka": {"brokers": "127.0.0.1:1", "options": {"sasl.password": "${KAFKA_PASSWORD}"}}},
    "store": {"url": "${DATABASE_URL:-embedded}"},
}

Write = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
    path = tmp_path / "streaming.yaml"
    path.write_text(yaml.safe_dump(TREE))
    return path


def password(config: Path) -> object:
    return load(config, []).bus.kafka.client()["sasl.password"]


def test_variables_of_the_config_are_found_in_the_file(config: Path, secrets_file: Write) -> None:
    secrets_file(f"# of the broker\n\n KAFKA_PASSWORD = {SECRET}=#'x' \r\nUNUSED=\n")
    assert password(config) == f"{SECRET}=#'x'"


def test_the_environment_goes_before_the_file(
    config: Path, secrets_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets_file("KAFKA_PASSWORD=from-the-file\n")
    monkeypatch.setenv("KAFKA_PASSWORD", "from-the-environment")
    assert password(config) == "from-the-environment"
    monkeypatch.setenv("KAFKA_PASSWORD", "")
    assert password(config) == "from-the-file"


def test_a_variable_in_neither_is_named(config: Path, secrets_file: Write) -> None:
    secrets_file("KAFKA_PASSWROD=x\n")
    with pytest.raises(ConfigError, match="KAFKA_PASSWORD is not set, nor is it in a secrets file"):
        load(config, [])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_file_that_others_can_get_at_is_refused(mdp: Mdp, config: Path, secrets_file: Write, mode: int) -> None:
    path = secrets_file(f"KAFKA_PASSWORD={SECRET}\n", mode)
    result = mdp("stream", "tail", "--config", config)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {path} can be read by others than its owner: run `chmod 600 {path}`\n"


@pytest.mark.parametrize("line", [SECRET, f"1NAME={SECRET}", f"A NAME={SECRET}", f"export A={SECRET}"])
def test_a_line_that_is_no_variable_is_refused_by_its_number(config: Path, secrets_file: Write, line: str) -> None:
    secrets_file(f"A=x\n{line}\n")
    with pytest.raises(SecretsError, match="line 2: write it as NAME=value") as refused:
        load(config, [])
    assert SECRET not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(
    config: Path, secrets_file: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets_file("").write_bytes(b"A=\xff\n")
    with pytest.raises(SecretsError, match="is not UTF-8 text"):
        load(config, [])
    monkeypatch.setenv("MDP_SECRETS", str(tmp_path / "none"))
    with pytest.raises(SecretsError, match="No such file or directory; MDP_SECRETS must name"):
        load(config, [])


@pytest.fixture
def loaded(config: Path, secrets_file: Write) -> None:
    secrets_file(f"KAFKA_PASSWORD={SECRET}\nDATABASE_URL=postgresql://mdp:{ENCODED}@db/market\n")
    settings = load(config, [])
    assert not any(
        word in form for form in (repr(settings), settings.model_dump_json()) for word in (SECRET, ENCODED, DECODED)
    )


MESSAGES = [
    f"about {SECRET}",
    f"about {SECRET!r}",
    f"about {DECODED}",
    f"about {DECODED!r}",
    f"about {ENCODED}",
]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("message", MESSAGES)
def test_errors_of_any_kind_are_masked(message: str) -> None:
    kafka = KafkaException(KafkaError(KafkaError._AUTHENTICATION, message))
    for error in (psycopg.OperationalError(message), kafka, MdpError(message), OSError(message)):
        said = explain(error) or ""
        assert "about ****" in said.translate(QUOTES)
        assert "word" not in said
        assert SECRET not in said
    assert one_line(ValueError(message)).translate(QUOTES) == "about **********"


@pytest.mark.usefixtures("loaded")
def test_log_lines_and_tracebacks_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError(f"about {SECRET}")
    except ZeroDivisionError as error:
        fault = type(error), error, error.__traceback__
    record = logging.LogRecord("mdp", logging.ERROR, "x.py", 1, "waiting: %s", (SECRET,), fault)
    lines = [LogFormat(form).format(record) for form in ("console", "json")]
    print_traceback(*fault)
    traceback = capsys.readouterr().err
    for text in (*lines, traceback):
        assert SECRET not in text
        assert "ZeroDivisionError: about **********" in text


def test_a_log_line_stays_one_line_whatever_a_feed_has_put_into_it() -> None:
    hostile = "bar of \x1b[2J\n2026-01-01 00:00:00,000 INFO forged"
    record = logging.LogRecord("mdp", logging.ERROR, "x.py", 1, "%s", (hostile,), None)
    line, as_json = LogFormat().format(record), LogFormat("json").format(record)
    assert line.endswith("[error    ] bar of \\x1b[2J\\n2026-01-01 00:00:00,000 INFO forged")
    assert line.isprintable()
    assert json.loads(as_json)["event"] == hostile
    assert as_json.isprintable()
    failure = ValueError(hostile)
    record.exc_info = type(failure), failure, None
    assert all(part.isprintable() for part in LogFormat().format(record).splitlines())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"store:\n  url: 'postgresql://u:{SECRET}@h/d\nname: x\n", "is not YAML: line"),
        (f"store: {{url: 'nonsense {SECRET}'}}\n", "store.url: neither"),
        (f"bus: {{kafka: {{options: [sasl.password, {SECRET}]}}}}\n", "bus.kafka.options: Input should be"),
        (f"bus: {{kafka: {{options: {{sasl.password: [{SECRET}]}}}}}}\n", "bus.kafka.options.sasl.password: Input"),
    ],
)
def test_a_password_in_the_config_itself_is_not_shown_by_its_errors(
    mdp: Mdp, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    result = mdp("stream", "tail", "--config", path)
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert words in result.err
    assert SECRET not in result.err


@pytest.mark.parametrize(
    "change",
    [f"store.url:{SECRET}", f"store.url.x=postgresql://u:{SECRET}@h/d", f"store.url=[{SECRET}", f"store.url={SECRET}"],
)
def test_a_password_in_a_bad_change_is_not_shown(mdp: Mdp, config: Path, secrets_file: Write, change: str) -> None:
    secrets_file("KAFKA_PASSWORD=x\nDATABASE_URL=postgresql://h/d\n")
    result = mdp("stream", "tail", "--config", config, "--set", change)
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert "store.url" in result.err
    assert SECRET not in result.err


@pytest.mark.usefixtures("loaded")
def test_a_fault_of_the_program_is_printed_by_what_masks(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("sys.excepthook", None)
    monkeypatch.setattr("mdp.ops.tail.tail", fail)
    with pytest.raises(ZeroDivisionError):
        main(["stream", "tail", "--config", str(config), "--set", "store.url=postgresql://h/d"])
    import sys

    assert sys.excepthook is print_traceback


def test_configs_cannot_run_code(mdp: Mdp, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = tmp_path / "sly.yaml"
    path.write_text(f"name: !!python/object/apply:os.mkdir ['{ran}']\n")
    for command in (("stream", "tail", "--config", path), ("topics", "apply", "--file", path)):
        result = mdp(*command, "--set", "bus.kafka.brokers=127.0.0.1:1", "--set", "store.url=postgresql://h/d")
        assert result.code == 2
        assert "is not YAML" in result.err
    assert not ran.exists()
