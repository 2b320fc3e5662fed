"""Saved state of another version, as `bytewax.run` finds it: nothing else looks at it there."""

import threading
from collections.abc import Callable
from typing import cast

import pytest

from codec.decode import Decoder
from contracts.partition_keys import part_name
from telemetry.outage import Outage
from tests.transports.first_reading import FirstReading
from transports.kafka.config import KafkaConfig
from transports.kafka.end_offsets import EndOffsets
from transports.kafka.partition import Saved
from transports.kafka.source import KafkaSource
from transports.kafka.topic_identity import TopicIdentity
from transports.kafka.topics import SourceError

FORMAT = 9


@pytest.mark.parametrize("saved", [7, (7, 12), (FORMAT - 1, 7, 0), (FORMAT + 1, 7, 0)])
def test_it_is_refused_in_one_line(kafka: str, topic: Callable[..., str], saved: object) -> None:
    config, name = KafkaConfig(brokers=kafka), topic()
    decode = Decoder(2_000_000_000, 5_000_000_000).decode_all
    outage, identity = Outage("Kafka"), TopicIdentity(config, name, lambda: None)
    ends = EndOffsets(config, name, 1_000_000_000, outage)
    source = KafkaSource(
        config, name, decode, 30_000, identity, threading.Event(), FirstReading(), 0, outage, ends, state_format=FORMAT
    )
    with pytest.raises(SourceError, match=r"is from another version of mdp: .* --reset-state"):
        source.build_part("events", part_name(0), cast(Saved, saved))
