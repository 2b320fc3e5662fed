"""A part of the log run by itself gives what the whole run gives for that part, and leaves a live run alone."""

import pytest

from mdp.local import LocalStack
from tests.harness import Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, START, chunks, market_topic

SECOND = 1_000_000_000
FROM, TO = START + 100 * SECOND, START + 150 * SECOND
PART = (f"run.from_ns={FROM}", f"run.to_ns={TO}", "run.name=part")
INSIDE = (f"> to_timestamp({FROM // SECOND})", f"<= to_timestamp({TO // SECOND})")

# Wilder's averages in rsi reach back to a symbol's first bar, so what depends on rsi depends on where the log begins.
FIELDS = {
    "bars_ohlcv": ("window_end", "*"),
    "features": (
        "ts",
        "provider, symbol, ts, vwap_10s, ret_10s, volatility, momentum, skew_20s, kurt_20s, source_offset",
    ),
    "signals": ("ts", "*"),
}


def rows_inside(deployment: Deployment, schema: str = "public") -> dict[str, list[str]]:
    return {
        table: deployment.copied(
            f"SELECT {fields} FROM {schema}.{table} WHERE {end} {INSIDE[0]} AND {end} {INSIDE[1]}"
            + (" AND name <> 'overbought'" if table == "signals" else "")
            + f" ORDER BY provider, symbol, {end}, 1"
        )
        for table, (end, fields) in FIELDS.items()
    }


@pytest.fixture(scope="module")
def part(deploy: Deployments, reference: Deployment) -> Deployment:
    deployment = deploy(reference.events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="part")
    deployment.ends_well(deployment.start(*PART))
    return deployment


def test_the_windows_inside_equal_the_whole_runs(part: Deployment, reference: Deployment) -> None:
    expected = rows_inside(reference)
    assert min(map(len, expected.values())) > 500
    assert_same(rows_inside(part, "run_part"), expected)


def test_nothing_outside_is_written(part: Deployment) -> None:
    inside = rows_inside(part, "run_part")
    assert part.query("SELECT count(*) FROM run_part.bars_ohlcv") == [(len(inside["bars_ohlcv"]),)]
    assert part.query("SELECT count(*) FROM run_part.features") == [(len(inside["features"]),)]
    assert part.query("SELECT count(*) FROM run_part.signals WHERE name <> 'overbought'") == [(len(inside["signals"]),)]
    assert not any(part.tables().values())


def test_the_log_is_read_from_shortly_before(part: Deployment, reference: Deployment) -> None:
    read, whole = accepted(part, "run_part"), accepted(reference)
    assert 0.5 * whole < read < 0.85 * whole


def accepted(deployment: Deployment, schema: str = "public") -> int:
    return int(deployment.query(f"SELECT sum(accepted) FROM {schema}.progress")[0][0])


def test_the_whole_run_after_it_leaves_nothing_out(part: Deployment, reference: Deployment) -> None:
    assert not (part.home / "recovery").exists()
    assert not any(part.output().values())
    part.run()
    assert_same({"bars": part.tables()["bars_ohlcv"]}, {"bars": reference.tables()["bars_ohlcv"]})
    assert_same(part.output(), reference.output())


@pytest.mark.slow
def test_a_live_run_goes_on_beside_it(stack: LocalStack, deploy: Deployments) -> None:
    events = market_topic(stack.kafka.bootstrap, 20_000, symbols=4)
    live = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="live")
    worker = live.start("micro_batch.flush_timeout_ms=3600000")
    until(live.has_caught_up, "all of the log")
    versions, output = result_versions(live), live.output()
    assert output["signals"]
    live.ends_well(live.start(f"run.from_ns={START + 8 * SECOND}", f"run.to_ns={START + 14 * SECOND}"))
    assert_same(result_versions(live), versions)
    assert_same(live.output(), output)
    produce_on_time(live.kafka, events, chunks(2_000, symbols=4, start=START + 20 * SECOND), PARTITIONS)
    until(lambda: len(live.records("signals")) > len(output["signals"]) or worker.poll() is not None, "more signals")
    assert worker.poll() is None, live.said.read_text()[-5_000:]


def result_versions(deployment: Deployment) -> dict[str, list[str]]:
    """Of all tables but progress, where a part of the log has rows of its own."""
    return {table: rows for table, rows in deployment.row_versions().items() if table != "progress"}
