"""A private environment for a benchmark: its own topics, database and saved state in the local stack."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from contracts.errors import MdpError
from flows.project import home
from mdp.local import LocalStack
from mdp.ops import topics
from mdp.ops.topics import TopicConfig
from mdp.runtime.lock_file import exclusive
from sinks import databases
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_admin import TopicAdmin

_TOPICS: Final = ("topic", "signals_topic", "bars_topic", "dlq_topic", "late_topic")


@contextmanager
def private(partitions: int, say: Callable[[str], None]) -> Iterator[list[str]]:
    """Yields the overrides that point any config there; removes everything at the end.

    The stack is stopped, too, unless it ran before.

    Raises:
        ConfigError: another benchmark runs in the same stack.
        LocalStackError: the stack does not start.
    """
    name = f"bench-{uuid.uuid4().hex[:12]}"
    with ExitStack() as cleanup:
        # two benchmarks would disturb each other's measurements
        refusal = f"another benchmark runs in {home()}: wait until it ends"
        cleanup.enter_context(exclusive(home() / "bench.lock", refusal))
        stack = LocalStack(home())
        if not any(service.pid for service in stack.status()):
            cleanup.callback(stack.down)
        stack.up(say)
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mdp-bench-")))
        names = {key: f"{name}.{key.removesuffix('_topic')}" for key in _TOPICS}
        cleanup.callback(_drop_database, stack, name)
        databases.create(stack.postgres.conninfo(), name)
        bus = KafkaConfig.model_validate({"brokers": stack.kafka.bootstrap, **names})
        cleanup.callback(_delete_topics, bus, list(names.values()))
        _create_topics(bus, partitions, list(names.values()))
        yield [
            f"name={name}",
            f"bus.kafka.brokers={stack.kafka.bootstrap}",
            "bus.kafka.options={}",  # the user's own brokers may require some
            "bus.kafka.start=earliest",
            f"bus.kafka.consumer_group={name}",
            *(f"bus.kafka.{key}={topic}" for key, topic in names.items()),
            f"store.url={stack.postgres.url.rpartition('/')[0]}/{name}?passfile={stack.postgres.passfile}",
            f"recovery.directory={folder / 'recovery'}",
            "telemetry.metrics_port=0",
            "telemetry.log_level=WARNING",
        ]


def _create_topics(bus: KafkaConfig, partitions: int, names: Sequence[str]) -> None:
    settings = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "2097152"}
    topics.apply(bus, {name: TopicConfig(partitions=partitions, config=settings) for name in names})


def _delete_topics(bus: KafkaConfig, names: list[str]) -> None:
    with suppress(MdpError):  # Kafka is gone
        TopicAdmin(bus).delete(names)


def _drop_database(stack: LocalStack, name: str) -> None:
    with suppress(MdpError):  # PostgreSQL is gone
        databases.drop(stack.postgres.conninfo(), name)
