"""The market dataflow in two halves, joined by the bars topic, writes what the whole of it writes."""

from tests.harness import Deployment, Deployments, Record, assert_same
from tests.market import FEATURES, PARTITIONS, RULES

CAUSE = ("source_topic", "partition", "source_offset", "source_row")  # the second half reads another topic


def without_cause(deployment: Deployment, table: str) -> list[str]:
    columns = [
        name
        for (name,) in deployment.query(
            f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0"
        )
        if name not in CAUSE
    ]
    listed = ", ".join(f'"{name}"' for name in columns)
    return deployment.copied(f"SELECT {listed} FROM {table} ORDER BY provider, symbol, ts, 1")


def messages(records: list[Record]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.partition, record.key, record.value) for record in records]


def test_the_halves_one_after_the_other_equal_the_whole(deploy: Deployments, reference: Deployment) -> None:
    halves = deploy(reference.events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="halves")
    halves.run(flow="micro_batch")
    assert not halves.tables()["features"]
    assert_same({"bars": halves.tables()["bars_ohlcv"]}, {"bars": reference.tables()["bars_ohlcv"]})
    halves.run(flow="infer")
    tables = ("features", "signals")
    assert_same(
        {table: without_cause(halves, table) for table in tables},
        {table: without_cause(reference, table) for table in tables},
    )
    assert_same({"signals": messages(halves.records("signals"))}, {"signals": messages(reference.records("signals"))})
    bars = len(halves.records("bars"))
    assert halves.query("SELECT sum(accepted) FROM progress WHERE flow LIKE '%infer%'") == [(bars,)]
    for refused in ("dlq", "late"):
        assert halves.records(refused) == reference.records(refused)
