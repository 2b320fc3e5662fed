"""Tries a manifest on recorded messages: what becomes of them, and what is refused, and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.errors import MdpError
from normalize.feed import Arrivals
from normalize.normalizer import Normalizer

_AT_ONCE: Final = 1_000
_EXAMPLES: Final = 3  # of each type, and of each reason


class SampleError(MdpError):
    """The recorded messages cannot be read."""


@dataclass(slots=True)
class Findings:
    """What became of recorded messages.

    Attributes:
        read: raw messages.
        skipped: those that no mapping is for, where these may be left out.
        accepted: by type, how many messages.
        refused: by reason.
        examples: by type, the first envelopes.
        errors: by reason, the first errors, each with the number of its line.
    """

    read: int = 0
    skipped: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    errors: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


def checked(normalizer: Normalizer, sample: Path) -> Findings:
    """What becomes of the messages in a file, one a line.

    Raises:
        SampleError: it cannot be read, or holds none.
    """
    findings, now_ns = Findings(), time.time_ns()
    for raw in _batches(sample):
        result = normalizer.normalize(raw, Arrivals([now_ns] * len(raw)))
        for group in result.accepted:
            findings.accepted[group.kind.id] += len(group)
            shown = findings.examples.setdefault(group.kind.id, [])
            shown += [msgspec.json.decode(value) for value in group.values[: _EXAMPLES - len(shown)]]
        for rejected in result.rejected:
            findings.refused[rejected.reason] += 1
            known = findings.errors.setdefault(rejected.reason, [])
            if len(known) < _EXAMPLES:
                known.append((findings.read + rejected.record + 1, rejected.error))
        findings.read += len(raw)
        findings.skipped += result.skipped
    if not findings.read:
        raise SampleError(f"{sample} holds no messages", "write one a line")
    return findings


def _batches(sample: Path) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    try:
        with sample.open("rb") as lines:
            for line in lines:
                if line.strip():
                    batch.append(line.strip())
                if len(batch) == _AT_ONCE:
                    yield batch
                    batch = []
    except OSError as error:
        raise SampleError(f"{sample}: {error.strerror}", "name a file of recorded messages by --sample") from None
    if batch:
        yield batch
