"""One real Kafka and one real PostgreSQL for the whole test session, started when the first test asks for them."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from hypothesis import settings

from mdp.local import LocalStack
from tests.harness import Deployments, empty_database
from tests.transports.kafka_outputs import PARTITIONS, KafkaOutputs
from transports.kafka.config import KafkaConfig

# A shell that starts something in the background has it ignore SIGINT, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("default", max_examples=200, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The session's stack. A test that stops or kills a service starts it again."""
    local = LocalStack(tmp_path_factory.mktemp("stack") / "mdp")
    try:
        local.up()
        yield local
    finally:
        local.remove()


@pytest.fixture
def kafka(stack: LocalStack) -> str:
    """The `bootstrap.servers` of the session's Kafka."""
    return stack.kafka.bootstrap


@pytest.fixture(scope="session")
def admin(stack: LocalStack) -> AdminClient:
    return AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "log_level": 0})


@pytest.fixture
def topic(admin: AdminClient) -> Callable[..., str]:
    """A factory of topics: `topic(partitions=4, config={...})` creates one and returns its name, unique to the call."""

    def create(partitions: int = 1, config: dict[str, str] | None = None, prefix: str = "topic") -> str:
        name = f"{prefix}-{uuid.uuid4().hex}"
        # Tests write records with times of long ago, which Kafka would delete when it comes to look.
        kept = {"retention.ms": "-1", **(config or {})}
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=kept)
        admin.create_topics([new])[name].result(30)
        # The controller has it; clients that assign partitions at once need the broker to have it, too.
        while len(admin.list_topics(name, timeout=30).topics[name].partitions) != partitions:
            pass
        return name

    return create


@pytest.fixture
def kafka_outputs(kafka: str, topic: Callable[..., str]) -> KafkaOutputs:
    """Topics of the test's own, and writers of one flow on them."""
    events, dlq, late = (topic(PARTITIONS) for _ in range(3))
    return KafkaOutputs(KafkaConfig(brokers=kafka, topic=events, dlq_topic=dlq, late_topic=late))


@pytest.fixture
def database(stack: LocalStack) -> Iterator[str]:
    """The conninfo of an empty database of the test's own."""
    with empty_database(stack.postgres.conninfo()) as conninfo:
        yield conninfo


@pytest.fixture(scope="module")
def deploy(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    """Makes deployments of the pipeline. What still runs after the tests of a file would slow the others down."""
    deployments = Deployments(stack, tmp_path_factory.mktemp("deployments"))
    yield deployments
    deployments.stop()


@pytest.fixture(scope="session")
def debian_program() -> Callable[[str], str]:
    """Where a program of Debian's is that no package client installs; without it a test is skipped, but not in CI."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing = f"{name} is not installed: `make programs` installs it on Debian"
            if os.environ.get("MDP_TEST_PROGRAMS") == "required":
                pytest.fail(missing)
            pytest.skip(missing)
        return path

    return find


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that only its owner can enter, as a home folder may be."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder
