"""A partition is read, computed and written in one worker, and workers have equally many partitions."""

import json
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.testing import cluster_main
from confluent_kafka import Producer

from contracts.partition_keys import part_name, partition_key, partition_of
from mdp.local import ports
from tests.harness import Deployment, Deployments

PARTITIONS = 16
STEPS = {"market.events", "steps", "market.timescale", "market.kafka"}
EVENT = {"ver": 1, "provider": "feed", "kind": "tick", "src_ts": "2025-10-24T14:00:00Z", "c": 100.0, "v": 1.0}
FLOW = [sys.executable, "-m", "bytewax.run", "tests.integration.market_places:flow"]
UNTIL_END = {"MDP_OVERRIDES": json.dumps(["run.until_end=true"])}

Worker = tuple[int, int]
Places = dict[int, set[Worker]]  # by partition, all workers that saw it


def assert_even(places: Places, workers: int) -> None:
    assert {len(seen) for seen in places.values()} == {1}, places
    load = Counter(worker for seen in places.values() for worker in seen)
    assert len(load) == workers
    assert max(load.values()) - min(load.values()) <= 1


@pytest.fixture(scope="module")
def market(deploy: Deployments) -> Deployment:
    """An event in each partition. Without saved state, each run reads them all."""
    made = deploy(partitions=PARTITIONS, name="places")
    producer = Producer({"bootstrap.servers": made.kafka})
    for partition in range(PARTITIONS):
        producer.produce(made.events, json.dumps({**EVENT, "symbol": f"S{partition}"}), partition=partition)
    assert producer.flush(30) == 0
    return made


@pytest.mark.parametrize(("processes", "threads"), [(2, 1), (2, 4)])
def test_no_batch_of_the_market_flow_crosses_from_worker_to_worker(
    market: Deployment, tmp_path: Path, processes: int, threads: int
) -> None:
    addresses = ";".join(f"{ports.HOST}:{port}" for port in ports.choose(range(20_000, 25_000), processes))
    command = [*FLOW, "-w", str(threads), "-a", addresses, "-i"]
    noted = tmp_path / "places"
    environment = {**UNTIL_END, "PLACES": str(noted)}
    market.ends_well(*(market.spawn([*command, str(number)], **environment) for number in range(processes)))
    steps: dict[int, set[str]] = defaultdict(set)
    places: Places = defaultdict(set)
    for step, *numbers in map(str.split, noted.read_text().splitlines()):
        partition, process, worker = map(int, numbers)
        steps[partition].add(step)
        places[partition].add((process, worker))
    assert steps == dict.fromkeys(range(PARTITIONS), STEPS)
    assert_even(places, processes * threads)
    assert len({process for seen in places.values() for process, _ in seen}) == processes


class Once(StatefulSourcePartition[Any, None]):
    """One item, the worker that reads it."""

    def __init__(self, partition: int) -> None:
        self.items = [(partition_key(partition), {here()})]

    def next_batch(self) -> Iterable[Any]:
        if not self.items:
            raise StopIteration
        return [self.items.pop()]

    def snapshot(self) -> None:
        return None


class Kept(StatefulSinkPartition[Any, None]):
    """Keeps the workers in which an item was, and adds its own."""

    def __init__(self, places: set[Worker]) -> None:
        self.places = places

    def write_batch(self, values: list[set[Worker]]) -> None:
        self.places.update({here()}, *values)

    def snapshot(self) -> None:
        return None


class Source(FixedPartitionedSource[Any, None]):
    def __init__(self, parts: list[str]) -> None:
        self.parts = parts

    def list_parts(self) -> list[str]:
        return self.parts

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Once:
        return Once(partition_of(for_part))


class Sink(FixedPartitionedSink[Any, None]):
    def __init__(self, parts: list[str], places: Places) -> None:
        self.parts, self.places = parts, places

    def list_parts(self) -> list[str]:
        return self.parts

    def part_fn(self, item_key: str) -> int:
        return partition_of(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Kept:
        return Kept(self.places[partition_of(for_part)])


def here() -> Worker:
    return 0, threading.get_ident()


@pytest.mark.parametrize("workers", range(1, 9))
@pytest.mark.parametrize("partitions", [8, 100])
def test_keys_land_where_they_are_read_with_one_to_eight_workers(partitions: int, workers: int) -> None:
    parts = [part_name(partition) for partition in range(partitions)]
    places: Places = {partition: set() for partition in range(partitions)}
    flow = Dataflow("places")
    items = op.input("read", flow, Source(parts))
    stated = op.stateful_map("state", items, lambda _, seen: (None, seen | {here()}))
    op.output("write", stated, Sink(parts, places))
    cluster_main(flow, [], 0, worker_count_per_proc=workers)
    assert_even(places, workers)
