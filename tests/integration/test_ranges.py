"""A range of the log goes to a run of its own, or takes the place of what the live tables hold of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import psycopg
import pytest

from mdp.local import LocalStack
from tests.harness import Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, START, chunks, market_topic

SECOND: Final = 1_000_000_000
FROM, TO = START + 8 * SECOND, START + 16 * SECOND
RANGE: Final = ("--from", "2025-10-24T14:00:08Z", "--to", "2025-10-24T14:00:16Z")
OTHER_RULES: Final[list[dict[str, Any]]] = [
    {"name": "up", "condition": "momentum > 0.02", "signal": 2.0, "score": 0.8},
    {"name": "calm", "condition": "volatility < 0.5", "signal": 0.0, "score": 0.1},
]
TABLES: Final = {"bars_ohlcv": "window_end", "features": "ts", "signals": "ts"}


@pytest.fixture(scope="module")
def events(stack: LocalStack) -> str:
    return market_topic(stack.kafka.bootstrap, 20_000, symbols=8)


@pytest.fixture(scope="module")
def flow(deploy: Deployments, events: str) -> Deployment:
    """The whole log in the live tables, and two runs of a part of it, by the same rules and by others."""
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="flow")
    flow.run()
    assert flow.mdp("stream", "run", *RANGE, "--run", "same")[0] == 0
    flow.rules = OTHER_RULES
    flow.configure(flow.sections)
    assert flow.mdp("stream", "run", *RANGE, "--run", "other")[0] == 0
    return flow


def rows(flow: Deployment, schema: str, *, inside: bool = True) -> dict[str, list[str]]:
    """All rows of whole windows in the range, or all others, but rsi, which reaches back beyond any warm-up."""
    bounds = f"BETWEEN to_timestamp({FROM // SECOND + 2}) AND to_timestamp({TO // SECOND})"
    left_out = {"bars_ohlcv": "", "features": ", rsi", "signals": ""}
    return {
        table: [
            row
            for row in flow.copied(
                f"SELECT to_jsonb(t) - '{{x{left_out[table]}}}'::text[] FROM {schema}.{table} AS t"
                f" WHERE {'' if inside else 'NOT '}{end} {bounds} ORDER BY provider, symbol, {end}, 1"
            )
            if '"overbought"' not in row
        ]
        for table, end in TABLES.items()
    }


def names(flow: Deployment, schema: str) -> set[str]:
    return {name for (name,) in flow.query(f"SELECT DISTINCT name FROM {schema}.signals")}


def run_of(flow: Deployment, name: str) -> dict[str, Any]:
    code, said = flow.mdp("runs", "show", name, "--json")
    assert code == 0, said
    shown: dict[str, Any] = json.loads(said)
    return shown


def test_the_same_rules_give_the_same_rows_beside_the_live_ones(flow: Deployment) -> None:
    assert_same(rows(flow, "run_same"), rows(flow, "public"))
    assert min(map(len, rows(flow, "run_same").values())) > 10
    assert not any(rows(flow, "run_same", inside=False).values())


def test_rule_sets_do_not_mix(flow: Deployment) -> None:
    assert names(flow, "run_other") == {"up", "calm"}
    assert names(flow, "run_same") >= {"up", "wild"}
    assert "calm" not in names(flow, "run_same") | names(flow, "public")


def test_a_run_says_what_it_has_done_and_is_listed_so(flow: Deployment) -> None:
    code, said = flow.mdp("stream", "run", *RANGE, "--run", "again")
    assert code == 0
    again = run_of(flow, "again")
    [events, bars] = flow.query("SELECT sum(trades), count(*) FROM run_again.bars_ohlcv")[0]
    by_name = dict(flow.query("SELECT name, count(*) FROM run_again.signals GROUP BY name"))
    assert again["counts"] == {
        "events": events,
        "bars": bars,
        "features": flow.query("SELECT count(*) FROM run_again.features")[0][0],
        "signals": by_name,
    }
    line = next(line for line in said.splitlines() if line.startswith("run again, 2025-10-24T14:00:08Z to"))
    assert f"{events:,} events, {bars:,} bars" in line
    assert all(f"{name} {count:,}" in line for name, count in by_name.items())
    assert again["fingerprint"] == run_of(flow, "other")["fingerprint"] != run_of(flow, "same")["fingerprint"]
    assert again["config"]["store"]["url"] == "**********"


def test_a_range_leaves_the_topics_alone(flow: Deployment) -> None:
    records = {kind: len(flow.records(kind)) for kind in ("signals", "dlq", "late")}
    assert flow.mdp("stream", "run", *RANGE, "--run", "quiet")[0] == 0
    assert {kind: len(flow.records(kind)) for kind in records} == records
    assert records["signals"] == flow.query("SELECT count(*) FROM signals")[0][0]


@pytest.mark.slow
def test_several_workers_write_the_rows_of_one(flow: Deployment) -> None:
    code, said = flow.mdp("stream", "run", *RANGE, "--run", "several", "--workers", "2")
    assert code == 0, said
    assert_same(rows(flow, "run_several"), rows(flow, "run_other"))
    assert run_of(flow, "several")["counts"] == run_of(flow, "other")["counts"]


@pytest.mark.slow
def test_lineage_is_the_same_however_the_log_is_read_and_no_difference_to_signals_without(flow: Deployment) -> None:
    lineage = ("--set", "inference.lineage=true", "--set", "inference.adapters.rules.version=v2")
    assert flow.mdp("stream", "run", *RANGE, "--run", "traced", *lineage)[0] == 0
    small = ("--set", "micro_batch.max_batch_size=500", "--workers", "2")
    assert flow.mdp("stream", "run", *RANGE, "--run", "traced_again", *lineage, *small)[0] == 0
    assert_same(rows(flow, "run_traced_again"), rows(flow, "run_traced"))
    digest = hashlib.sha256((flow.folder / "rules.yaml").read_bytes()).hexdigest()
    origins = "meta #>> '{lineage,source}', meta #>> '{lineage,version}', meta #>> '{lineage,sha256}'"
    assert flow.query(f"SELECT DISTINCT {origins} FROM run_traced.signals") == [("rules.yaml", "v2", digest)]
    untrue = "name = 'up' AND NOT (meta #>> '{lineage,features,momentum}')::float8 > 0.02"
    assert flow.query(f"SELECT count(*) FROM run_traced.signals WHERE {untrue}") == [(0,)]
    assert flow.mdp("runs", "diff", "traced", "other")[0] == 0


def test_an_empty_range_says_so_and_leaves_nothing(flow: Deployment) -> None:
    code, said = flow.mdp("stream", "run", "--from", "2020-01-01", "--to", "2020-01-02", "--run", "empty")
    assert code == 3
    assert "the range is empty" in said
    assert flow.mdp("runs", "show", "empty")[0] == 2
    before = flow.row_versions()
    code, _ = flow.mdp("stream", "run", "--from", "2020-01-01", "--to", "2020-01-02", "--into", "live", "--overwrite")
    assert (code, flow.row_versions()) == (3, before)


@pytest.mark.slow
def test_a_name_is_not_taken_twice(flow: Deployment) -> None:
    code, said = flow.mdp("stream", "run", *RANGE, "--run", "same")
    assert (code, "there is already a run same" in said) == (2, True)
    assert names(flow, "run_same") >= {"up", "wild"}
    assert flow.mdp("stream", "run", *RANGE, "--run", "taken", "--adapter", "none")[0] == 0
    assert not names(flow, "run_taken")
    assert flow.mdp("stream", "run", *RANGE, "--run", "taken", "--overwrite")[0] == 0
    assert names(flow, "run_taken") == {"up", "calm"}


def test_two_runs_of_a_name_do_not_go_on_at_once(flow: Deployment) -> None:
    first = flow.start(f"run.from_ns={FROM}", f"run.to_ns={TO}", "run.name=twice")
    until(lambda: ("twice",) in flow.query("SELECT name FROM runs"), "the first run")
    with psycopg.connect(flow.database) as connection:  # it cannot end as long as this goes on
        connection.execute("LOCK TABLE runs IN SHARE MODE")
        code, said = flow.mdp("stream", "run", *RANGE, "--run", "twice", "--overwrite")
        assert (code, "run twice is in progress" in said) == (2, True)
    flow.ends_well(first)


def test_a_range_takes_the_place_of_live_rows_and_leaves_no_others_behind(deploy: Deployments, events: str) -> None:
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="replaced")
    flow.run()
    outside = rows(flow, "public", inside=False)
    flow.rules = OTHER_RULES
    flow.configure(flow.sections)
    assert flow.mdp("stream", "run", *RANGE, "--run", "alone")[0] == 0
    before = flow.output()
    code, said = flow.mdp("stream", "run", *RANGE, "--into", "live", "--overwrite", "--workers", "2")
    assert code == 0, said
    assert_same(rows(flow, "public"), rows(flow, "run_alone"))
    assert_same(rows(flow, "public", inside=False), outside)
    assert [name for (name,) in flow.query("SELECT name FROM runs")] == ["alone"]
    assert flow.mdp("runs", "diff", "live", "alone")[0] == 0
    assert_same(flow.output(), before)


def test_into_the_live_tables_without_overwrite_adds_what_they_lack(deploy: Deployments, events: str) -> None:
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="added")
    flow.mdp("store", "migrate")
    code, said = flow.mdp("stream", "run", *RANGE, "--into", "live")
    assert code == 0, said
    versions = {table: one for table, one in flow.row_versions().items() if table != "progress"}
    assert len(versions["bars_ohlcv"]) > 20
    flow.rules = OTHER_RULES
    flow.configure(flow.sections)
    assert flow.mdp("stream", "run", *RANGE, "--into", "live")[0] == 0
    after = flow.row_versions()
    assert [one for one in after["bars_ohlcv"] if one not in versions["bars_ohlcv"]] == []
    assert names(flow, "public") >= {"wild", "calm"}


@pytest.mark.slow
def test_beside_a_live_flow_both_get_on(stack: LocalStack, deploy: Deployments) -> None:
    events = market_topic(stack.kafka.bootstrap, 20_000, symbols=4)
    live = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="beside")
    worker = live.start("micro_batch.flush_timeout_ms=3600000")
    until(live.has_caught_up, "all of the log")
    inside, signals = rows(live, "public"), len(live.records("signals"))
    assert live.mdp("stream", "run", *RANGE, "--run", "beside")[0] == 0
    code, said = live.mdp("stream", "run", *RANGE, "--into", "live", "--overwrite")
    assert code == 0, said
    assert_same(rows(live, "public"), inside)
    produce_on_time(live.kafka, events, chunks(2_000, symbols=4, start=START + 20 * SECOND), PARTITIONS)
    until(lambda: len(live.records("signals")) > signals or worker.poll() is not None, "more signals")
    assert worker.poll() is None, live.said.read_text()[-5_000:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--run", "a"), "for a range that ends"),
        (("--from", "now-1h", "--run", "a"), "for a range that ends"),
        (("--into", "live", "--until-end"), "for a range that ends"),
        ((*RANGE, "--run", "A-b"), "is not a valid name of a run"),
        ((*RANGE, "--run", "live"), "choose another name"),
        ((*RANGE, "--run", "a", "--into", "live"), "give one of them"),
        (("--to", "2025-10-25", "--into", "live", "--overwrite"), "give --from and --to"),
        (("--from", "now-1h", "--to", "now", "--into", "live", "--overwrite"), "may still change"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(
    flow: Deployment, arguments: tuple[str, ...], words: str
) -> None:
    code, said = flow.mdp("stream", "run", *arguments)
    assert (code, said.count("\n")) == (2, 1), said
    assert words in said


def test_what_the_log_no_longer_tells_replaces_nothing(deploy: Deployments, stack: LocalStack) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    events = market_topic(stack.kafka.bootstrap, 20_000, symbols=4)
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="shortened")
    flow.run()
    before = flow.row_versions()
    admin = AdminClient({"bootstrap.servers": flow.kafka, "log_level": 0})
    read = flow.query("SELECT partition, next_offset FROM progress")
    halves = [TopicPartition(events, partition, end * 3 // 5) for partition, end in read]
    for done in admin.delete_records(halves).values():
        done.result(30)
    code, said = flow.mdp("stream", "run", *RANGE, "--into", "live", "--overwrite")
    assert (code, "no longer contains the whole range" in said) == (2, True)
    assert flow.row_versions() == before
