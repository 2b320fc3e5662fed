"""Losses of acknowledged outputs: a database restored from an old copy, a topic without its end."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient

from chaos.outputs import committed, source
from chaos.pipeline import Pipeline, PipelineFailed
from mdp.local import ports

_STOP_SECONDS: Final = 30.0


def set_database_back(pipeline: Pipeline, seconds: float) -> None:
    """Restores a copy of its files from `seconds` ago; it crashes for the copy, and for the restore."""
    postgres = pipeline.stack.postgres
    if postgres.settings is None:
        raise PipelineFailed("there is no database to set back")
    data = Path(postgres.settings.folder) / "data"
    copy = data.with_name("copy")
    postgres.process.stop(signal.SIGQUIT, _STOP_SECONDS)
    subprocess.run(["cp", "-a", data, copy], check=True)  # noqa: S603,S607 - which keeps the owner
    postgres.start()
    time.sleep(seconds)
    postgres.process.stop(signal.SIGQUIT, _STOP_SECONDS)
    shutil.rmtree(data)
    copy.rename(data)
    postgres.start()


def cut_topic(pipeline: Pipeline, topic: str, share: float) -> None:
    """Replaces the topic by one without the last records of each partition. Nothing may be writing to it."""
    kept: dict[int, list[Message]] = defaultdict(list)
    for message in committed(pipeline.kafka, topic):
        kept[message.partition() or 0].append(message)
    admin = AdminClient({"bootstrap.servers": pipeline.kafka, "log_level": 0})
    admin.delete_topics([topic])[topic].result(_STOP_SECONDS)
    ports.wait_until(lambda: topic not in admin.list_topics(timeout=_STOP_SECONDS).topics, _STOP_SECONDS)
    pipeline.apply_topics()
    producer = Producer({"bootstrap.servers": pipeline.kafka, "queue.buffering.max.messages": 10_000_000})
    for partition, messages in kept.items():
        for message in _whole(messages, int(len(messages) * (1 - share))):
            producer.produce(topic, message.value(), message.key(), partition, headers=message.headers())
    if producer.flush(_STOP_SECONDS):
        raise PipelineFailed(f"topic {topic} could not be put back")


def _whole(messages: Sequence[Message], end: int) -> Sequence[Message]:
    """The first records, without the begin of a transaction whose end would be missing."""
    while 0 < end < len(messages) and source(messages[end - 1]) == source(messages[end]):
        end -= 1
    return messages[:end]
