"""Tests once whether the installed versions allow reading records from librdkafka's memory, and caches the result."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import confluent_kafka
from confluent_kafka import cimpl

from native import librdkafka
from native.code_cache import folders

CHOICE: Final = "MDP_RECORD_QUEUE"  # `objects` selects the way that always works
_SECONDS: Final = 20.0


@cache
def refusal() -> str | None:
    """Why records cannot, or must not, be read from memory; None if they can."""
    if os.environ.get(CHOICE) == "objects":
        return f"{CHOICE}=objects is set"
    name = f"librdkafka-{_installed()}.ok"
    if any((folder / name).exists() for folder in folders()):
        return None
    reason = _run_probe()
    if reason is None:
        _remember(name)
    return reason


def version() -> str:
    """The version of librdkafka."""
    return str(confluent_kafka.libversion()[0])


def _installed() -> str:
    """A digest of what the result depends on."""
    file = Path(str(cimpl.__file__)).stat()
    versions = (confluent_kafka.__version__, confluent_kafka.libversion(), sys.version, file.st_size, file.st_mtime_ns)
    return hashlib.sha256(repr(versions).encode()).hexdigest()[:32]


def _run_probe() -> str | None:
    version = f"confluent-kafka {confluent_kafka.__version__}"
    command = [sys.executable, "-P", str(librdkafka.__file__)]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{version} could not be tested: {error}"
    if probe.returncode == 0:
        return None
    lines = probe.stderr.strip().splitlines()
    return f"{version} has an unknown memory layout: {lines[-1] if lines else f'exit status {probe.returncode}'}"


def _remember(name: str) -> None:
    for folder in folders():
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / name).touch()
            return
