"""Runs the checks: what concerns this machine, Kafka and the database at the same time, and never for long."""

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

SECONDS: Final = 14.0  # a broker that does not answer is given ten

Report = list[tuple[str, Finding]]


@dataclass(frozen=True)
class Lane:
    """Checks that are run one after another, by name.

    Attributes:
        service: what the first of them reaches for, and the others need.
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
    """All that there is to say, in the order of the checks; whatever happens, within `seconds`.

    Args:
        site: what is examined.
        watch: is told the name of each check that has ended.
        lanes: the checks.
        seconds: after these, a check that has not ended is unknown.
    """
    found: dict[str, list[Finding]] = {}
    ended: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for lane in lanes:  # daemons, as a library that waits for a service may not be interrupted
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
    except Exception as error:  # one check that fails must not cost the others
        yield unknown(explain(error) or f"{type(error).__name__}: {' '.join(str(error).split())}")
