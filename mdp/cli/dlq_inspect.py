"""`mdp dlq inspect` and `stats`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import heapq
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mdp.cli.dlq_options import Contains, FailedFrom, FailedTo, Offset, Partition, Reason
from mdp.cli.options import AsJson, Config, Set, Zone, examples, settings_of, span_of
from mdp.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from mdp.ops.dlq.records import Dlq, DlqRecord
    from transports.kafka.config import KafkaConfig

_SHOWN: Final = 20
_NS_PER_MS: Final = 1_000_000


Pending = Annotated[bool, typer.Option("--pending", help="Only records that have not been redriven.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command(
        epilog=examples(
            "mdp dlq inspect", "mdp dlq inspect --reason contract --pending", "mdp dlq inspect --json | jq .payload"
        )
    )(inspect)
    app.command(epilog=examples("mdp dlq stats", "mdp dlq stats --pending --json"))(stats)


def inspect(
    *,
    reason: Reason = None,
    contains: Contains = None,
    start: FailedFrom = None,
    end: FailedTo = None,
    zone: Zone = None,
    partition: Partition = None,
    offset: Offset = None,
    pending: Pending = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, show_default="20 for a table", help="Only the last N records.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line.")] = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the records of the DLQ: reason, origin, time and payload."""
    from mdp.ops.dlq.records import Chosen

    start_ns, end_ns = span_of(start, end, zone)
    chosen = Chosen(
        reason=reason,
        contains=contains,
        start=start_ns,
        end=end_ns,
        partition=partition,
        offset=offset,
        pending=pending,
    )
    with _opened(settings_of(config, overrides).bus.kafka) as dlq:
        records = dlq.records(chosen)
        if as_json:
            for record in records if limit is None else _last(records, limit):
                print_json(_fields(record))
        else:
            _print_records(records, limit or _SHOWN)


def stats(
    *,
    reason: Reason = None,
    contains: Contains = None,
    start: FailedFrom = None,
    end: FailedTo = None,
    zone: Zone = None,
    partition: Partition = None,
    pending: Pending = False,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Count the records of the DLQ by reason and error."""
    from mdp.cli.entries import time_text
    from mdp.ops.dlq.counts import count
    from mdp.ops.dlq.records import Chosen

    start_ns, end_ns = span_of(start, end, zone)
    chosen = Chosen(reason=reason, contains=contains, start=start_ns, end=end_ns, partition=partition, pending=pending)
    with _opened(settings_of(config, overrides).bus.kafka) as dlq:
        counts = count(dlq.records(chosen))
    names = ("reason", "error", "records", "redriven", "oldest", "newest")
    rows: list[tuple[object, ...]] = [
        (
            one.reason,
            one.error,
            one.records,
            one.redriven,
            time_text(one.oldest // _NS_PER_MS),
            time_text(one.newest // _NS_PER_MS),
        )
        for one in counts
    ]
    total, redriven = sum(one.records for one in counts), sum(one.redriven for one in counts)
    if as_json:
        print_json({"records": total, "redriven": redriven, "errors": [dict(zip(names, r, strict=True)) for r in rows]})
    else:
        print_table(names, rows)
        typer.echo(f"{total:,} records, {redriven:,} of them redriven")


@contextmanager
def _opened(bus: KafkaConfig) -> Iterator[Dlq]:
    from mdp.ops.dlq.records import Dlq
    from transports.kafka.topic_reader import TopicReader

    with TopicReader(bus, bus.dlq_topic) as reader:
        yield Dlq(reader)


def _last(records: Iterable[DlqRecord], limit: int) -> list[DlqRecord]:
    """The last refused records, oldest first."""
    return heapq.nlargest(limit, records, key=lambda one: (one.failed_at, one.partition, one.offset))[::-1]


def _print_records(records: Iterable[DlqRecord], limit: int) -> None:
    found = _last(records, limit + 1)
    rows = [
        (
            f"[{one.partition}]@{one.offset}",
            one.reason,
            one.error,
            None if one.origin is None else str(one.origin),
            _age(one),
            one.retries,
            "yes" if one.redriven else "no",
            _payload(one),
        )
        for one in found[-limit:]
    ]
    print_table(("record", "reason", "error", "origin", "age", "retries", "redriven", "payload"), rows)
    if len(found) > limit:
        remark(f"these are the last {limit:,}: print more with --limit, or select others with options such as --from")


def _payload(record: DlqRecord) -> str:
    from mdp.cli.entries import shortened

    cut = "" if record.stub is None else f"[of {record.stub.value_bytes:,} bytes, which are in the log] "
    return cut + shortened(record.payload)


def _fields(record: DlqRecord) -> dict[str, Any]:
    """As JSON: the payload as text if it is UTF-8, else in base64."""
    import msgspec

    from mdp.cli.entries import time_text

    origin = record.origin
    return {
        "partition": record.partition,
        "offset": record.offset,
        "reason": record.reason,
        "error": record.error,
        "origin": None if origin is None else origin._asdict(),
        "failed_at": time_text(record.failed_at // _NS_PER_MS),
        "age_s": round(_age_s(record), 3),
        "retries": record.retries,
        "redriven": record.redriven,
        "content_type": record.content_type,
        **_bytes("key", record.key),
        **_bytes("payload", record.payload),
        "stub": None if record.stub is None else msgspec.to_builtins(record.stub),
    }


def _bytes(name: str, data: bytes | None) -> dict[str, str | None]:
    import base64

    try:
        return {name: None if data is None else data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data or b"").decode()}


def _age_s(record: DlqRecord) -> float:
    return max(time.time() - record.failed_at / 1e9, 0.0)


def _age(record: DlqRecord) -> str:
    """The age in the largest unit of which it has at least two."""
    seconds = _age_s(record)
    unit, length = next(((u, n) for u, n in (("d", 86_400), ("h", 3_600), ("m", 60)) if seconds >= 2 * n), ("s", 1))
    return f"{seconds // length:.0f}{unit}"
