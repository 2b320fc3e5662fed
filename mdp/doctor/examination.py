"""Runs the checks of this machine, of Kafka and of the database concurrently, with a time limit."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mdp.doctor import database, kafka, machine
from mdp.doctor.findings import Check, Finding, unknown
from mdp.doctor.site import Site
from mdp.runtime.errors import explain

SECONDS: Final = 14.0  # a broker has ten to answer

Report = list[tuple[str, Finding]]


@dataclass(frozen=True)
class Lane:
    """Checks by name, which run one after another.

    Attributes:
        service: what the first of them connects to, and the others need.
    """

    checks: Mapping[str, Check]
    service: str | None = None


LANES: Final = (
    Lane(
        {
            "versions": machine.versions,
            "config": machine.config,
            "saved state": machine.saved_state,
            "workers": machine.workers,
        }
    ),
    Lane(
        {
            "Kafka": kafka.reach,
            "topics": kafka.topics,
            "partitions": kafka.partitions,
            "events": kafka.events,
            "keys": kafka.keys,
            "transactions": kafka.transactions,
            "broker's clock": kafka.clock,
        },
        "Kafka",
    ),
    Lane(
        {
            "database": database.reach,
            "schema": database.schema,
            "TimescaleDB": database.edition,
            "permissions": database.permissions,
            "database's clock": database.clock,
        },
        "the database",
    ),
)


def examine(
    site: Site, watch: Callable[[str], None], lanes: Sequence[Lane] = LANES, seconds: float = SECONDS
) -> Report:
    """Returns the findings in the order of the checks, within `seconds` in any case.

    Args:
        site: the deployment to examine.
        watch: called with the name of each check that has ended.
        lanes: the checks.
        seconds: the time limit; the result of a check that has not ended by then is unknown.
    """
    found: dict[str, list[Finding]] = {}
    ended: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for lane in lanes:  # daemon threads, as a library that waits for a service cannot be interrupted
        threading.Thread(target=_run, args=[lane, site, ended], name="doctor", daemon=True).start()
    names = [name for lane in lanes for name in lane.checks]
    deadline = time.monotonic() + seconds
    while len(found) < len(names):
        try:
            name, findings = ended.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        found[name] = findings
        watch(name)
    silent = [unknown(f"no answer within {seconds:.0f} s")]
    return [(name, finding) for name in names for finding in found.get(name, silent)]


def _run(lane: Lane, site: Site, ended: queue.SimpleQueue[tuple[str, list[Finding]]]) -> None:
    is_away = False
    for number, (name, check) in enumerate(lane.checks.items()):
        findings = [unknown(f"cannot be checked without {lane.service}")] if is_away else list(_findings(check, site))
        if number == 0 and lane.service:
            is_away = any(finding.level != "ok" for finding in findings)
        ended.put((name, findings))


def _findings(check: Check, site: Site) -> Iterator[Finding]:
    try:
        yield from check(site)
    except Exception as error:  # a failing check must not prevent the others
        yield unknown(explain(error) or f"{type(error).__name__}: {' '.join(str(error).split())}")
