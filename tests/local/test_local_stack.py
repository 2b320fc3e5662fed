from __future__ import annotations

import dataclasses
import json
import re
import shutil
import socket
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from mdp.local import LocalStack, LocalStackError, placement
from mdp.local.records import write_record


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack to stop and kill, beside the session's."""
    local = LocalStack(tmp_path_factory.mktemp("own") / "mdp")
    yield local
    local.remove()


@pytest.fixture
def running(own: LocalStack) -> LocalStack:
    own.up()
    return own


def query(conninfo: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def consume(bootstrap: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(30)
        return None if message is None or message.error() else message.value()
    finally:
        consumer.close()


def pids(stack: LocalStack) -> list[int | None]:
    return [service.pid for service in stack.status()]


def test_up_is_idempotent(running: LocalStack) -> None:
    before = pids(running)
    assert LocalStack(running.root).up() == running.endpoints
    assert pids(running) == before


def test_stacks_live_side_by_side(stack: LocalStack, running: LocalStack) -> None:
    assert not {service.address for service in stack.status()} & {service.address for service in running.status()}
    assert all(service.answers for service in (*stack.status(), *running.status()))


def test_a_topic_is_not_created_by_writing_to_it(stack: LocalStack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "allow.auto.create.topics": True, "log_level": 0})
    assert admin.list_topics("nobody-made-this", timeout=30).topics["nobody-made-this"].error is not None
    assert "nobody-made-this" not in admin.list_topics(timeout=30).topics


def test_endpoints_are_private_and_hold_no_password(running: LocalStack) -> None:
    password = running.postgres.passfile.read_text().strip().rsplit(":", 1)[1]
    for file in (running.endpoints_file, running.postgres.passfile, running.postgres.settings_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert password not in running.endpoints_file.read_text()
    assert json.loads(running.endpoints_file.read_text()).keys() == {"kafka", "postgres", "passfile"}


def test_the_database_wants_the_password(running: LocalStack) -> None:
    assert running.endpoints is not None
    assert query(running.endpoints.conninfo, "SELECT current_database(), current_user") == [("mdp", "mdp")]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(running.endpoints.postgres, passfile="/dev/null")


def test_data_survive_a_restart(running: LocalStack) -> None:
    topic = f"kept-{uuid.uuid4().hex}"
    query(running.postgres.conninfo(), "CREATE TABLE kept AS SELECT 42 AS answer")
    produce(running.kafka.bootstrap, topic, b"kept")
    endpoints = running.endpoints

    running.down()
    assert pids(running) == [None, None]
    running.down()

    assert running.up() == endpoints
    assert query(running.postgres.conninfo(), "SELECT answer FROM kept") == [(42,)]
    assert consume(running.kafka.bootstrap, topic) == b"kept"


def test_data_survive_a_sigkill(running: LocalStack) -> None:
    topic = f"hardened-{uuid.uuid4().hex}"
    query(running.postgres.conninfo(), "CREATE TABLE hardened AS SELECT 42 AS answer")
    produce(running.kafka.bootstrap, topic, b"hardened")

    with psycopg.connect(running.postgres.conninfo()):  # whose backend outlives the server for a moment
        running.postgres.kill()
        running.kafka.kill()
        running.postgres.start()
        running.kafka.start()

    assert query(running.postgres.conninfo(), "SELECT answer FROM hardened") == [(42,)]
    assert consume(running.kafka.bootstrap, topic) == b"hardened"


def test_services_outlive_the_process_that_started_them(own: LocalStack) -> None:
    own.down()
    program = "import sys, pathlib; from mdp.local import LocalStack; LocalStack(pathlib.Path(sys.argv[1])).up()"
    starter = subprocess.run([sys.executable, "-c", program, own.root], check=False, start_new_session=True)
    assert starter.returncode == 0
    assert all(service.pid and service.answers for service in own.status())
    assert query(own.postgres.conninfo(), "SELECT 1") == [(1,)]


def test_a_used_port_is_named_with_its_remedy_and_nothing_stays_half_started(running: LocalStack) -> None:
    running.down()
    for service in (running.kafka, running.postgres):
        assert service.settings is not None
        with socket.create_server(("127.0.0.1", service.settings.port)), pytest.raises(LocalStackError) as caught:
            running.up()
        assert f"port {service.settings.port}" in str(caught.value)
        assert str(service.settings_file) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert pids(running) == [None, None]


def test_another_port_can_be_written_down(own: LocalStack) -> None:
    own.down()
    for service in (own.kafka, own.postgres):
        assert service.settings is not None
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        write_record(service.settings_file, dataclasses.asdict(dataclasses.replace(service.settings, port=port)))
        service.start()
        assert str(port) in str(own.status())


def test_postgresql_starts_over_a_lock_file_whose_pid_is_now_a_strangers(running: LocalStack) -> None:
    settings = running.postgres.settings
    assert settings is not None
    running.postgres.kill()
    stranger = subprocess.Popen(["sleep", "60"], user=placement.server_user())
    try:
        lock = Path(settings.folder) / "data" / "postmaster.pid"
        lock.write_text(re.sub(r"^\d+", str(stranger.pid), lock.read_text()))
        running.postgres.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_failing_server_is_quoted(running: LocalStack) -> None:
    running.postgres.stop()
    settings = running.postgres.settings
    assert settings is not None
    version = Path(settings.folder) / "data" / "PG_VERSION"
    original = version.read_text()
    version.write_text("7\n")
    with pytest.raises(LocalStackError, match=r"PostgreSQL did not start: .*FATAL: .*postgres\.log"):
        running.postgres.start()
    version.write_text(original)


def test_remove_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    local = LocalStack(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    local.postgres.start()
    assert local.postgres.settings is not None
    folder = Path(local.postgres.settings.folder)
    local.remove()
    assert not folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_postgresql_runs_below_a_closed_folder_without_opening_it_and_over_lost_data(closed_folder: Path) -> None:
    local = LocalStack(closed_folder / "mdp")
    try:
        local.postgres.start()
        assert query(local.postgres.conninfo(), "SELECT 1") == [(1,)]
        assert stat.S_IMODE(closed_folder.stat().st_mode) == 0o700

        local.postgres.stop()
        assert local.postgres.settings is not None
        shutil.rmtree(local.postgres.settings.folder)  # as systems clear their temporary folders
        local.postgres.start()
        assert query(local.postgres.conninfo(), "SELECT 1") == [(1,)]
    finally:
        local.remove()


def test_down_and_status_of_what_never_was(tmp_path: Path) -> None:
    local = LocalStack(tmp_path / "never")
    local.down()
    local.remove()
    assert [(service.pid, service.address) for service in local.status()] == [(None, None)] * 2
    assert not local.root.exists()
    with pytest.raises(LocalStackError, match="never been started"):
        _ = local.kafka.bootstrap
