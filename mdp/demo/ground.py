"""A clean start: the demo's own topics and its own database, empty.

They keep their names from run to run and are emptied at the start rather than at the end. So a run accounts for
exactly its own events, its results can be looked at after it, and no run leaves more behind than the one before.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql

from flows.config_file import ConfigError
from flows.settings import Settings
from mdp.local import LocalStack
from mdp.ops import topics
from mdp.ops.topics import TopicConfig
from sinks.schema.migrate import migrate
from transports.kafka.config import KafkaConfig

PARTITIONS: Final = 4
DATABASE: Final = "demo"
_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.02


def database_url(stack: LocalStack) -> str:
    """The URL of the demo's database; it names the file that holds the password, not the password."""
    url = stack.postgres.url.rpartition("/")[0]
    return f"{url}/{DATABASE}?passfile={stack.postgres.passfile}"


def recovery_folder(home: Path) -> Path:
    """Where the worker of a demo saves its state; removed with every start."""
    return home / "recovery" / DATABASE


def empty_database(stack: LocalStack) -> None:
    """Create the database anew, without any table."""
    name = sql.Identifier(DATABASE)
    with psycopg.connect(stack.postgres.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


def create_tables(settings: Settings) -> None:
    """Create the schema, with a column for each feature."""
    migrate(settings.store.url.get_secret_value(), settings.features.names)


def empty_topics(kafka: KafkaConfig) -> None:
    """Delete and create the topics.

    Raises:
        ConfigError: Kafka does not do it.
    """
    names = (kafka.topic, kafka.signals_topic, kafka.dlq_topic, kafka.late_topic, kafka.bars_topic)
    admin = AdminClient(kafka.client())
    try:
        _delete(admin, names)
    except KafkaException as error:
        raise ConfigError(f"topics of the last demo cannot be deleted: {error.args[0].str()}; try again") from None
    settings = {"message.timestamp.type": "LogAppendTime"}
    topics.apply(kafka, {name: TopicConfig(partitions=PARTITIONS, config=settings) for name in names})


def _delete(admin: AdminClient, names: tuple[str, ...]) -> None:
    present = [name for name in names if name in admin.list_topics(timeout=_SECONDS).topics]
    if not present:
        return
    for future in admin.delete_topics(present).values():
        future.result(_SECONDS)
    deadline = time.monotonic() + _SECONDS
    # The controller is done; the broker hears of it a moment later.
    while set(present) & admin.list_topics(timeout=_SECONDS).topics.keys():
        if time.monotonic() > deadline:
            raise ConfigError("Kafka still lists topics that it has deleted: try again later")
        time.sleep(_LOOK_SECONDS)
