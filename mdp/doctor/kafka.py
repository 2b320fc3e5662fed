"""Checks of Kafka: the topics, the spread over workers, the newest events, and the broker's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

from mdp.doctor import clocks
from mdp.doctor.findings import Finding, from_message, note, ok, unknown, wrong
from mdp.doctor.site import Site

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

_MODULUS: Final = 840  # contracts.partition_keys: worker counts that divide it keep a partition's steps together
_SAMPLE_SECONDS: Final = 5.0
_WATCH_SECONDS: Final = 1.5
_MOST_REFUSED: Final = 0.01
_NAMED: Final = 3  # symbols listed in a finding
_BROKERS_TIME: Final = "set it to LogAppendTime with kafka-configs.sh --alter, and in topics.yaml"


def reach(site: Site) -> Iterator[Finding]:
    """Whether a broker answers, and accepts our credentials."""
    from transports.kafka import brokers

    bus = site.settings.bus.kafka
    try:
        site.cluster = brokers.cluster(bus.client())
    except brokers.Unreachable as error:
        yield from_message(str(error))
        return
    count = site.cluster.brokers
    yield ok(f"{count} broker{'s' if count > 1 else ''} at {bus.brokers}, cluster {site.cluster.id}")


def topics(site: Site) -> Iterator[Finding]:
    """Whether they match topics.yaml."""
    from mdp.ops import topics as wanted

    file = wanted.find_file(site.config)
    reports = wanted.compare(site.settings.bus.kafka, wanted.load(file), site.known_cluster)
    for report in reports:
        for drift in report.drift:
            yield wrong(f"{report.name}: {drift}", _topic_remedy(report.partitions is None, drift, file))
        for warning in report.warnings:
            yield wrong(f"{report.name}: {warning}", _BROKERS_TIME)
        for said in report.notes:
            yield note(f"{report.name}: {said}", "" if "number of brokers" in said else f"list it in {file}")
    if not any(report.drift or report.warnings for report in reports):
        yield ok(f"they match {file}")


def _topic_remedy(is_missing: bool, drift: str, file: Path) -> str:
    if is_missing:
        return f"list it in {file}, and run `mdp topics apply`" if "but not in" in drift else "run `mdp topics apply`"
    if drift.startswith("partitions") or "fewer" in drift:
        return "add partitions to all topics of the pipeline with kafka-topics.sh --alter; or correct topics.yaml"
    if drift.startswith("replication"):
        return "change it with kafka-reassign-partitions.sh; or correct topics.yaml"
    return "change it with kafka-configs.sh --alter; or correct topics.yaml"


def partitions(site: Site) -> Iterator[Finding]:
    """Whether each worker has partitions, and all the same number."""
    bus, workers = site.settings.bus.kafka, site.workers
    if bus.topic not in site.known_cluster.topics:
        yield unknown(f"cannot be checked without {bus.topic}")
        return
    count = len(site.known_cluster.topics[bus.topic].partitions)
    if count < workers:
        yield wrong(
            f"{count} partitions of {bus.topic} for {workers} workers: {workers - count} would have nothing to do",
            f"run {count} workers at most, or add partitions",
        )
    elif count % workers:
        yield wrong(
            f"{count} partitions of {bus.topic} on {workers} workers: some have {count // workers}, others one more",
            f"run a number of workers that divides {count}, or add partitions",
        )
    elif _MODULUS % workers:
        yield note(
            f"with {workers} workers, batches cross between them", f"a number that divides {_MODULUS} costs less"
        )
    else:
        yield ok(f"{count} of {bus.topic}: {count // workers} for each of {workers} workers")


def events(site: Site) -> Iterator[Finding]:
    """Whether the newest events can be read."""
    import polars as pl

    bus = site.settings.bus.kafka
    if bus.topic not in site.known_cluster.topics:
        yield unknown(f"cannot be checked without {bus.topic}")
        return
    site.symbols, reasons = _sample(site)
    refused = reasons.height
    share = refused / max(1, refused + int(site.symbols["rows"].sum()))
    text = f"{site.symbols['rows'].sum():,} of the newest were read"
    if share > _MOST_REFUSED:
        counts = reasons.group_by("reason").agg(pl.len()).sort("len", descending=True)
        named = ", ".join(f"{count} {reason}" for reason, count in counts.iter_rows())
        yield wrong(
            f"{text}, and {share:.0%} refused: {named}",
            "inspect them with `mdp dlq inspect`, and correct their producer",
        )
    else:
        yield ok(text)


def _sample(site: Site) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Provider, symbol, partition and number of the newest events, and the rejects, within a time limit."""
    import polars as pl

    from contracts.record import Fetch, Record, Records
    from flows.market_input import market_decoder
    from transports.kafka.topic_reader import TopicReader

    topic, decoder = site.settings.bus.kafka.topic, market_decoder(site.settings)
    seen, rejects = [], []
    deadline = time.monotonic() + _SAMPLE_SECONDS
    with TopicReader(site.settings.bus.kafka, topic) as reader:
        for partition in reader.partitions:
            low, high = reader.bounds(partition)
            for messages in reader.span(partition, max(low, high - site.sample), high):
                records = Records.of(cast(list[Record], messages))
                fetch = Fetch(topic=topic, partition=partition, next_offset=high, records=records)
                batch = decoder.decode(fetch)
                seen.append(batch.events.select("provider", "symbol", "kind", partition=pl.lit(partition)))
                rejects.append(batch.rejects.select("reason"))
            if time.monotonic() > deadline:
                break
    if not seen:
        empty = {"provider": pl.String, "symbol": pl.String, "partition": pl.Int32, "rows": pl.UInt32}
        return pl.DataFrame(schema=empty), pl.DataFrame(schema={"reason": pl.String})
    rows = pl.concat(seen).filter(pl.col("kind") != "heartbeat")
    return rows.group_by("provider", "symbol", "partition").agg(rows=pl.len()), pl.concat(rejects)


def keys(site: Site) -> Iterator[Finding]:
    """Whether each symbol is in one partition only."""
    import polars as pl

    if site.symbols is None or site.symbols.is_empty():
        yield ok("no events to check")
        return
    spread = site.symbols.group_by("provider", "symbol").agg(pl.col("partition").unique().sort()).sort("symbol")
    torn = spread.filter(pl.col("partition").list.len() > 1)
    if torn.is_empty():
        yield ok(f"each of {spread.height:,} symbols is in one partition")
        return
    named = "; ".join(
        f"{symbol} of {provider} in {', '.join(map(str, places))}"
        for provider, symbol, places in torn.head(_NAMED).iter_rows()
    )
    more = f" (and {torn.height - _NAMED} more)" if torn.height > _NAMED else ""
    yield wrong(
        f"symbols are in several partitions, whose bars conflict: {named}{more}",
        "key the records by symbol in all producers; if partitions were added recently, the newest records will pass",
    )


def transactions(site: Site) -> Iterator[Finding]:
    """Whether a transaction stays open in a topic, so that what follows it cannot be read."""
    from transports.kafka.open_transactions import LONG_SECONDS, open_transactions

    bus, topics = site.settings.bus.kafka, site.known_cluster.topics
    names = dict.fromkeys((bus.topic, bus.signals_topic, bus.bars_topic, bus.dlq_topic, bus.late_topic))
    places = [(name, partition) for name in names if name in topics for partition in sorted(topics[name].partitions)]
    found = open_transactions(bus, places, LONG_SECONDS)
    for transaction in found:
        yield wrong(str(transaction), transaction.remedy(bus))
    if not found:
        yield ok("none stays open in the topics")


def clock(site: Site) -> Iterator[Finding]:
    """The difference between the broker's clock and this machine's, by the records that arrive now."""
    from transports.kafka.arrivals import stamped_and_received

    bus, topics = site.settings.bus.kafka, site.known_cluster.topics
    names = {bus.topic, bus.signals_topic, bus.bars_topic} & topics.keys()
    came = list(stamped_and_received(bus, {name: topics[name].partitions for name in names}, _WATCH_SECONDS))
    if came:
        yield from clocks.verdict("the broker's clock", clocks.ahead_by_records(came))
    else:
        yield ok("not compared: no record with a broker timestamp arrived just now")
