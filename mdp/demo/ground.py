"""A clean start: empty topics and an empty database of the demo's own.

Their names are the same in each run, and they are emptied at the start rather than at the end. So a run accounts for
exactly its own events, its results can be examined afterwards, and repeated runs do not accumulate data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flows.settings import Settings
from mdp.local import LocalStack
from mdp.ops import topics
from mdp.ops.topics import TopicConfig
from sinks import databases
from sinks.schema.migrate import migrate
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_admin import TopicAdmin

PARTITIONS: Final = 4
DATABASE: Final = "demo"


def database_url(stack: LocalStack) -> str:
    """The URL of the demo's database; it names the password file, not the password."""
    url = stack.postgres.url.rpartition("/")[0]
    return f"{url}/{DATABASE}?passfile={stack.postgres.passfile}"


def recovery_folder(home: Path) -> Path:
    """The folder of the worker's saved state; removed at every start."""
    return home / "recovery" / DATABASE


def empty_database(stack: LocalStack) -> None:
    """Recreate the database, without tables."""
    databases.drop(stack.postgres.conninfo(), DATABASE)
    databases.create(stack.postgres.conninfo(), DATABASE)


def create_tables(settings: Settings) -> None:
    """Create the schema, with a column for each feature."""
    migrate(settings.store.url.get_secret_value(), settings.features.names)


def empty_topics(kafka: KafkaConfig) -> None:
    """Delete and create the topics.

    Raises:
        TopicsError: Kafka refuses.
    """
    names = (kafka.topic, kafka.signals_topic, kafka.dlq_topic, kafka.late_topic, kafka.bars_topic)
    TopicAdmin(kafka).delete(names)
    settings = {"message.timestamp.type": "LogAppendTime"}
    topics.apply(kafka, {name: TopicConfig(partitions=PARTITIONS, config=settings) for name in names})
