"""A confluent-kafka whose memory is not as it is known is noticed by another process, and read in another way."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.config_file import load
from mdp.doctor import machine
from mdp.doctor.site import Site
from native import librdkafka
from tests.harness import PROJECT, Deployments, assert_same
from tests.market import FEATURES, PARTITIONS, RULES, market_topic
from transports.kafka import queue_probe

CONFIG = PROJECT / "configs" / "streaming.yaml"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str | None]]:
    """Asks whether memory can be read, where what tries it is this program; nothing is known from before."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    program = tmp_path / "program.py"
    monkeypatch.setattr(librdkafka, "__file__", str(program))

    def ask(text: str) -> str | None:
        program.write_text(text)
        queue_probe.refusal.cache_clear()
        return queue_probe.refusal()

    yield ask
    queue_probe.refusal.cache_clear()


def test_a_crash_of_the_probe_or_what_it_raises_is_the_reason_and_success_is_remembered(
    asked: Callable[[str], str | None],
) -> None:
    crash = asked("import ctypes; ctypes.string_at(0)")
    assert crash is not None
    assert crash.endswith("exit status -11")
    raised = asked("raise AttributeError('undefined symbol: rd_kafka_queue_get_partition')")
    assert raised is not None
    assert raised.endswith("AttributeError: undefined symbol: rd_kafka_queue_get_partition")
    assert asked("") is None
    assert asked("raise ValueError") is None


def test_the_doctor_says_why_records_are_read_as_objects(asked: Callable[[str], str | None]) -> None:
    asked("raise ValueError('no client')")
    *_, finding = machine.versions(Site(load(CONFIG), CONFIG, workers=1, sample=1))
    assert finding.level == "note"
    assert "ValueError: no client" in finding.text


def test_what_is_installed_is_known() -> None:
    librdkafka.check()


def test_both_ways_lead_to_the_same_results(deploy: Deployments) -> None:
    events = market_topic(deploy.stack.kafka.bootstrap, 5_000, symbols=20)
    one, other = (deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name) for name in "ab")
    one.run()
    begun_anew = [sys.executable, "-m", "tests.worker", "market", "1", "run.until_end=true"]
    other.ends_well(other.spawn(begun_anew, **{queue_probe.CHOICE: "objects"}))  # it is chosen at the import
    assert b"are read as objects" in other.said.read_bytes()
    assert_same(other.tables(), one.tables())
    assert_same(other.output(), one.output())
