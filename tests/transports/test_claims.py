"""Partitions go from writer to writer: whatever they do at the same time, each record is committed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from codec.output_records import Identity
from tests.harness import records
from tests.transports.kafka_outputs import KafkaOutputs, identity_of
from transports.kafka.claims import Takeover
from transports.kafka.config import KafkaConfig
from transports.kafka.errors import Fenced, is_fenced
from transports.kafka.read_back import Place, last_causes

PARTITIONS = 16
STEPS = 6  # of an owner
LOG = range(3)  # the offsets of the source, each of which leads to a record


def send(producer: Producer, identity: Identity, partition: int, offsets: range) -> None:
    for offset in offsets:
        headers = identity.headers(partition, (offset, 0))
        producer.produce(identity.topic, f"{identity.owner} {offset}", partition=partition, headers=headers)


def former_owner(config: KafkaConfig, identity: Identity, partition: int) -> Iterator[None]:
    """Has committed the first record, and the next is in its open transaction."""
    with Takeover(config, identity, [partition]) as takeover:
        takeover.fence(takeover.lock().values())
        name, producer = takeover.writer(linger_ms=0)
        takeover.claim(name)
    for offset in range(2):
        producer.begin_transaction()
        send(producer, identity, partition, range(offset, offset + 1))
        if offset == 0:
            producer.commit_transaction(30)
    producer.flush(30)
    yield
    producer.commit_transaction(30)
    yield


def next_owner(config: KafkaConfig, identity: Identity, partition: int) -> Iterator[None]:
    """Takes the partition over and writes the rest, step by step."""
    place = Place(identity.topic, partition)
    with Takeover(config, identity, [partition]) as takeover:
        former = takeover.lock()
        yield
        takeover.fence(former.values())
        yield
        name, producer = takeover.writer(linger_ms=0)
        takeover.claim(name)
        yield
        (offset, _) = last_causes(config, identity, [place])[place]
        yield
    producer.begin_transaction()
    send(producer, identity, partition, LOG[offset + 1 :])
    producer.flush(30)
    yield
    producer.commit_transaction(30)
    yield


def advance(owner: Iterator[None]) -> None:
    """One step; whoever is fenced does nothing more, nor who finds that another writes already."""
    try:
        next(owner, None)
    except KafkaException as error:
        if not is_fenced(error.args[0]) and "a transaction of another writer is open" not in str(error):
            raise


def race(config: KafkaConfig, topic: str, number: int, turns: set[int], partition: int) -> None:
    """Two take over from a third, which wakes up somewhere among their steps."""
    identity = identity_of(f"race{number}", topic)
    third = former_owner(config, identity, partition)
    next(third)
    first, second = (next_owner(config, identity, partition) for _ in range(2))
    for turn in range(2 * STEPS):
        if turn == number % (2 * STEPS):
            advance(third)
        advance(first if turn in turns else second)


RACES = [set(turns) for turns in combinations(range(2 * STEPS), STEPS) if 0 in turns]  # the other half is the same


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_of_all_that_take_a_partition_over_one_writes_what_is_not_there(
    kafka: str, topic: Callable[..., str], every: int
) -> None:
    config, name, numbers = KafkaConfig(brokers=kafka), topic(PARTITIONS), range(0, len(RACES), every)

    def run(partition: int) -> None:
        for number in numbers[partition::PARTITIONS]:
            race(config, name, number, RACES[number], partition)

    with ThreadPoolExecutor(PARTITIONS) as threads:
        list(threads.map(run, range(PARTITIONS)))
    written = defaultdict(list)
    for record in records(kafka, name):
        owner, offset = (record.value or b"").decode().split()
        written[owner].append(int(offset))
    assert written == {f"race{number}": list(LOG) for number in numbers}


def test_a_writer_that_lost_its_connection_does_not_take_back_what_another_has_taken(
    kafka_outputs: KafkaOutputs,
) -> None:
    zombie, other = kafka_outputs.writer(), kafka_outputs.writer(1)
    zombie.write(kafka_outputs.rejects(0))
    other.write(kafka_outputs.rejects(1)[1:])
    zombie.close()  # as after a transaction of which nobody knows what has become
    with pytest.raises(Fenced):
        zombie.write(kafka_outputs.rejects(1))
    other.write(kafka_outputs.rejects(2)[1:])
    assert kafka_outputs.rejected() == [(0, b"0"), (1, b"0"), (1, b"1"), (1, b"2")]


def test_a_writer_of_two_partitions_is_fenced_from_both(kafka_outputs: KafkaOutputs) -> None:
    zombie, other = kafka_outputs.writer(), kafka_outputs.writer(1)
    zombie.write(kafka_outputs.rejects(0))
    other.write(kafka_outputs.rejects(1)[1:])
    with pytest.raises(Fenced):
        zombie.write(kafka_outputs.rejects(1))
    kafka_outputs.writer(0).write(kafka_outputs.rejects(1)[:1])
    assert kafka_outputs.rejected() == [(0, b"0"), (0, b"1"), (1, b"0"), (1, b"1")]


def test_writers_of_other_partitions_leave_each_other_alone(kafka_outputs: KafkaOutputs) -> None:
    kafka_outputs.writer().write(kafka_outputs.rejects(0))
    siblings = [kafka_outputs.writer(0), kafka_outputs.writer(1)]
    for offset in (1, 2):
        for partition, sibling in enumerate(siblings):
            sibling.write([kafka_outputs.rejects(offset)[partition]])
    assert kafka_outputs.rejected() == [(partition, b"%d" % offset) for partition in range(2) for offset in range(3)]


def test_a_writer_of_earlier_versions_is_fenced(kafka_outputs: KafkaOutputs) -> None:
    """It wrote with one producer per partition, whose id was what is the claimant's now."""
    identity = kafka_outputs.identity
    former = Producer(kafka_outputs.config.client(transactional_id=identity.claimant_id(0)))
    former.init_transactions(30)
    former.begin_transaction()
    former.produce(kafka_outputs.config.dlq_topic, b"0", partition=0, headers=identity.headers(0, (0, 0)))
    former.flush(30)
    kafka_outputs.writer().write(kafka_outputs.rejects(0))
    with pytest.raises(KafkaException):
        former.commit_transaction(30)
    assert kafka_outputs.rejected() == [(0, b"0"), (1, b"0")]


def test_a_writer_whose_claim_kafka_has_forgotten_goes_on(admin: AdminClient, kafka_outputs: KafkaOutputs) -> None:
    forgotten = kafka_outputs.writer()
    forgotten.write(kafka_outputs.rejects(0))
    group = kafka_outputs.identity.claims_group
    admin.delete_consumer_groups([group])[group].result(30)
    forgotten.close()
    forgotten.write([*kafka_outputs.rejects(0), *kafka_outputs.rejects(1)])
    assert kafka_outputs.rejected() == [(0, b"0"), (0, b"1"), (1, b"0"), (1, b"1")]
