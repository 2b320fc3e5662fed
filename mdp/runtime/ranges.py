"""Runs over a time range of the log: into tables of their own or into the live ones, with a summary at the end."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final, TypeVar

from contracts.timestamps import format_timestamp
from flows import stop
from flows.config_file import ConfigError
from flows.endpoints import create_tables
from flows.project import home
from flows.secrets import masked_tree
from flows.settings import Settings
from flows.spec import FlowSpec
from mdp.runtime.errors import one_line
from mdp.runtime.lock_file import exclusive
from sinks.connection import StoreUnavailable
from sinks.queries.flow_topics import is_the_same
from sinks.runs import registry
from sinks.runs.counts import Counts, counted
from sinks.runs.names import LIVE, schema_of
from sinks.runs.registry import Run
from sinks.runs.replacement import replace, settle
from sinks.runs.span import Part, Span
from telemetry.outage import wait_out
from transports.kafka.topic_reader import TopicReader
from transports.kafka.topics import first_time_ms, topic_id

EMPTY: Final = 3  # the exit code of a run whose range contains no events

_T = TypeVar("_T")

_DECISIVE: Final = ("micro_batch", "features", "inference")  # the config sections that determine the results of a log


def named(settings: Settings) -> list[str]:
    """The override that names an unnamed run of a range after the time; none if it has a name or writes to live tables.

    Raises:
        ConfigError: the options contradict each other.
    """
    run = settings.run
    if (run.name or run.into) and not run.is_backtest:
        raise ConfigError("--run and --into are for a range that ends: give --to, or --from and --until-end")
    if run.name is not None:
        if run.into is not None:
            raise ConfigError("--run and --into are for different tables: give one of them")
        schema_of(run.name)
    if run.replaces_live:
        _require_settled(settings)
    if not run.is_backtest or run.name or (run.into and not run.overwrite):
        return []
    return [f'run.name="{datetime.now(UTC):%Y%m%d_%H%M%S}"']  # in quotes: YAML takes it for a number


def _require_settled(settings: Settings) -> None:
    """Raises ConfigError if the range has windows that may still change: only the live flow writes those."""
    run, now = settings.run, time.time_ns()
    if run.from_ns is None or run.to_ns is None:
        raise ConfigError("--into live --overwrite replaces a range with both ends: give --from and --to")
    if run.to_ns > now - settings.waits_ns:
        raise ConfigError(
            f"windows may still change for {settings.waits_ns / 1e9:g} s after their time: "
            f"end --to at {format_timestamp(now - settings.waits_ns)} or earlier"
        )


def run(flow: FlowSpec, settings: Settings, processes: Callable[[], int]) -> int:
    """Runs the processes of a flow over a range, prints what they wrote, and returns the exit code.

    Raises:
        MdpError: the range cannot be run like this; one line says what to do.
    """
    url, name = settings.store.url.get_secret_value(), settings.run.name
    if name is None:
        return processes() or (0 if stop.STOP.is_set() else _summarized(flow, settings, "the live tables"))
    with _reserved(url, name):
        if settings.run.replaces_live:
            _require_log(flow, settings)
        registry.begin(url, planned(flow, settings), replace=settings.run.overwrite and not settings.run.into)
        create_tables(settings)
        topic = flow.topic(settings)
        is_the_same(settings.results_url, flow.id(settings), topic, topic_id(settings.bus.kafka, topic))
        try:
            code = processes()
        except BaseException as failure:
            _give_up(settings, one_line(failure) if isinstance(failure, Exception) else None)
            raise
        if code or stop.STOP.is_set():
            _give_up(settings, f"exit code {code}" if code else None)
            return code
        return _finished(flow, settings, url, name)


@contextmanager
def _reserved(url: str, name: str) -> Iterator[None]:
    """Reserves the name for this run: in the database for all machines, and here until its last worker has ended."""
    file = home() / "runs" / f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}.lock"
    with exclusive(file, registry.in_use(name), with_workers=True), registry.reserved(url, name):
        yield
        file.unlink(missing_ok=True)


def planned(flow: FlowSpec, settings: Settings) -> Run:
    """The registry entry of a run that begins."""
    config = masked_tree(settings.model_dump(mode="json"))
    files = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in settings.inference.files}
    return Run(
        name=settings.run.name or LIVE,
        flow=flow.name,
        topic=flow.topic(settings),
        interval=settings.micro_batch.interval,
        span=Span.between(settings.run.from_ns, settings.run.to_ns),
        version=version("mdp"),
        fingerprint=_fingerprint({"flow": flow.name, **{part: config[part] for part in _DECISIVE}}, files),
        config={**config, "files": files},
    )


def _fingerprint(decisive: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """A hash of everything that determines the results of a log; files count by content, not by path."""
    text = json.dumps(decisive, sort_keys=True)
    for file, digest in files.items():
        text = text.replace(json.dumps(file), digest)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _require_log(flow: FlowSpec, settings: Settings) -> None:
    """Checks that the log still contains the whole range: results of a part of it must not replace anything.

    Raises:
        ConfigError: some of it has been deleted.
    """
    kafka, topic, start = settings.bus.kafka, flow.topic(settings), settings.run.from_ns or 0
    with TopicReader(kafka, topic) as reader:
        cut = [partition for partition in reader.partitions if reader.bounds(partition)[0] > 0]
    begins = (first_time_ms(kafka, topic, partition) for partition in cut)
    earliest = max((begin * 1_000_000 for begin in begins if begin is not None), default=0) + settings.warm_up_ns
    if cut and start < earliest:
        raise ConfigError(
            f"the log of {topic} no longer contains the whole range, and results of a part must not replace "
            f"anything: give --from {format_timestamp(earliest)} or later"
        )


def _give_up(settings: Settings, error: str | None) -> None:
    """Records that a run is incomplete, or drops it if it was to replace live rows."""
    url, name = settings.store.url.get_secret_value(), settings.run.name or LIVE
    with suppress(StoreUnavailable):  # it then counts as killed
        if settings.run.into:
            registry.drop(url, name)
        else:
            registry.end(url, name, "failed" if error else "stopped", error=error)


def _finished(flow: FlowSpec, settings: Settings, url: str, name: str) -> int:
    """Records what a run wrote, or replaces the live rows with it."""
    part = part_of(settings)
    counts = _waited(lambda: counted(settings.results_url, flow.tables, part))
    if counts.is_empty:
        _waited(lambda: registry.drop(url, name))
        return _empty(flow, part)
    _waited(lambda: registry.end(url, name, "finished", counts.known))
    if not settings.run.into:
        return _say(f"run {name}", part, counts)
    kafka = settings.bus.kafka
    _waited(
        lambda: replace(
            url,
            name,
            part,
            features=settings.features.names,
            tables=flow.tables,
            topics=(kafka.topic, kafka.bars_topic),
        )
    )
    _waited(lambda: settle(url, part, flow.tables))
    return _say("in the live tables now", part, counts)


def _summarized(flow: FlowSpec, settings: Settings, where: str) -> int:
    part, url = part_of(settings), settings.results_url
    counts = _waited(lambda: counted(url, flow.tables, part, flow.topic(settings)))
    return _empty(flow, part) if counts.is_empty else _say(where, part, counts)


def part_of(settings: Settings) -> Part:
    """The rows that a run of a range writes."""
    return Part(Span.between(settings.run.from_ns, settings.run.to_ns), settings.micro_batch.interval)


def _waited(call: Callable[[], _T]) -> _T:
    return wait_out(call, StoreUnavailable, "the database")


def _say(where: str, part: Part, counts: Counts) -> int:
    sys.stdout.write(f"{where}, {part.span}: {counts}\n")
    return 0


def _empty(flow: FlowSpec, part: Part) -> int:
    sys.stderr.write(
        f"the range is empty: no window of {part.interval} in {part.span} has an event; "
        "`mdp stream tail` shows which times events have\n"
    )
    return EMPTY
