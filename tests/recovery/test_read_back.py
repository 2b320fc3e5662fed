"""What stands in the way of reading back how far a flow has come."""

import json

from confluent_kafka import Producer

from tests.harness import Deployment, Deployments, until


def reject(deployment: Deployment, *numbers: int) -> None:
    """Sends records that the flow rejects."""
    producer = Producer({"bootstrap.servers": deployment.kafka})
    for number in numbers:
        producer.produce(deployment.events, json.dumps({"number": number}), partition=0)
    assert producer.flush(30) == 0


def test_a_flow_does_not_repeat_what_another_writers_open_transaction_hides(deploy: Deployments) -> None:
    """Two flows share a DLQ and one of them dies in a transaction: what the other wrote after it cannot be read yet."""
    flow = deploy(partitions=1, name="rejecting")
    reject(flow, 0)
    worker = flow.start()
    until(lambda: flow.records("dlq"), "the first reject")
    stranger = Producer({"bootstrap.servers": flow.kafka, "transactional.id": f"stranger-{flow.events}"})
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(flow.topics["dlq"], b"of the stranger", partition=0)
    assert stranger.flush(30) == 0
    reject(flow, 1, 2)
    until(lambda: flow.progress == 3, "the other rejects")
    worker.terminate()
    flow.ends_well(worker)
    assert len(flow.records("dlq")) == 1
    again = flow.start("run.until_end=true", f"recovery.directory={flow.folder / 'lost'}")
    until(lambda: again.poll() is not None or "transaction of another writer" in flow.said.read_text(), "a second run")
    stranger.abort_transaction(30)
    flow.ends_well(again)
    assert [record.header("source_offset") for record in flow.records("dlq")] == ["0", "1", "2"]
