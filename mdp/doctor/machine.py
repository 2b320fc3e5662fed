"""Checks of this machine: installed versions, the config, the saved state, and the workers that run here."""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.errors import MdpError
from mdp.doctor.findings import Finding, from_message, note, ok, unknown, wrong
from mdp.doctor.site import FLOW, Site
from mdp.local import ports

if TYPE_CHECKING:
    from mdp.runtime.saved_state import SavedState

_PYTHONS: Final = ((3, 11), (3, 12))
_SHOWN: Final = ("mdp", "bytewax", "confluent-kafka", "polars", "psycopg", "pyarrow")
_LEAST_FREE: Final = 1 << 30
_SECONDS: Final = 4.0  # /ready answers within three


def versions(_: Site) -> Iterator[Finding]:
    """The versions of Python and of the libraries whose internals the pipeline depends on."""
    from transports.kafka import queue_probe  # noqa: PLC0415

    installed = [f"{name} {version(name)}" for name in _SHOWN]
    text = ", ".join((f"Python {platform.python_version()}", *installed, f"librdkafka {queue_probe.version()}"))
    pinned = [line.split(";")[0].split("==") for line in requires("mdp") or () if "==" in line and "extra" not in line]
    others = [f"{name} {version(name)}, not {wanted}" for name, wanted in pinned if version(name) != wanted]
    if sys.version_info[:2] not in _PYTHONS:
        yield wrong(f"Python {platform.python_version()}, not 3.11 or 3.12", "install one of these, and mdp in it")
    elif others:
        yield wrong("; ".join(others), "install what requirements.lock names: `make setup`, or rebuild the image")
    else:
        yield ok(text)
    if (reason := queue_probe.refusal()) is not None:
        yield note(
            f"Kafka records are read as objects, at several times the cost: {reason}",
            "install the confluent-kafka that requirements.lock names",
        )


def config(site: Site) -> Iterator[Finding]:
    """Whether rules and models can be loaded, and use only configured features."""
    from inference.engine import build  # noqa: PLC0415

    settings = site.settings
    try:
        build(settings.inference, settings.features.names, settings.span_ns)
    except MdpError as error:
        yield wrong(" ".join(str(error).split()), f"correct {site.config}, or what it refers to")
    else:
        yield ok(f"{site.config}: windows of {settings.micro_batch.interval}, {len(settings.features.names)} features")


def saved_state(site: Site) -> Iterator[Finding]:
    """Whether it matches the config, is saved regularly, and has disk space."""
    from mdp.runtime.saved_state import SavedState  # noqa: PLC0415

    saved = SavedState.of(site.settings, FLOW)
    if saved is None:
        return
    if saved.exists:
        yield _continued(saved, site.settings.recovery.interval_s)
    else:
        yield ok(f"none yet in {saved.folder}")
    yield from _room(saved.folder)


def _continued(saved: SavedState, interval_s: int) -> Finding:
    written = [file for file in saved.folder.glob("part-*.sqlite3*") if file.suffix != ".sqlite3-shm" and _size(file)]
    age = time.time() - max((file.stat().st_mtime for file in written), default=0.0)  # before opening it writes
    try:
        saved.check()
    except MdpError as error:
        text, _, remedy = str(error).partition(". ")
        return wrong(text, remedy) if remedy else from_message(text)
    text = f"{saved.folder}: {sum(map(_size, saved.folder.iterdir())) / 1e6:.1f} MB, {age:,.0f} s old"
    if saved.is_in_use and age > max(60, 10 * interval_s):
        return wrong(
            f"{text}, though a run saves every {interval_s} s",
            "see the worker's log for the cause; stop it and start it again",
        )
    return ok(text)


def _size(file: Path) -> int:
    return file.stat().st_size


def _room(folder: Path) -> Iterator[Finding]:
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK):
        yield wrong(f"{place} is not writable", "make the workers' user the owner of the folder, or set MDP_HOME")
    free = shutil.disk_usage(place).free
    if free < _LEAST_FREE:
        yield wrong(
            f"{free / 1e6:,.0f} MB are left on the disk of {place}", "free some space: a snapshot may need 1 GB"
        )


def workers(site: Site) -> Iterator[Finding]:
    """Whether the workers that run here are ready, and the ports of the others are free."""
    telemetry = site.settings.telemetry
    if telemetry.metrics_port == 0:
        yield note("workers serve no metrics and no /ready", "set telemetry.metrics_port")
        return
    host = ports.reachable(telemetry.metrics_host)
    for number in range(site.workers):
        yield _worker(number, host, telemetry.metrics_port + number)


def _worker(number: int, host: str, port: int) -> Finding:
    if host == ports.HOST and not ports.answers(port):
        return ok(f"worker {number} does not run here; port {port} is free")
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/ready")
        ready = json.loads(connection.getresponse().read())
        reasons = ", ".join(ready["reasons"])
    except ConnectionRefusedError:
        return ok(f"worker {number} does not run at {host}:{port}")
    except (http.client.HTTPException, ValueError, TypeError, KeyError):  # also a server that disconnects on a GET
        return wrong(f"port {port} is used by another program", "stop it, or set telemetry.metrics_port")
    except OSError as error:
        return unknown(f"worker {number} does not answer at {host}:{port}: {error}", "see its log")
    finally:
        connection.close()
    if ready.get("ready") is True:
        return ok(f"worker {number} is ready at {host}:{port}")
    return wrong(f"worker {number} at {host}:{port} is not ready: {reasons}", "fix what it waits for; see its log")
