"""Files judged by the contracts, as the pipeline would if they were produced now."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from codec.decode import UNDECODABLE, Decoder
from connectors.files.reader import Remark
from connectors.files.times import TimeUnit
from contracts.event import CONTRACT
from contracts.signal import decode_signal
from mdp.ops.file_records import as_fetch
from mdp.ops.file_rows import Rows, read_rows

Contract = Literal["event", "signal"]
Problem = tuple[int, str, str]  # number of the row, reason, error

_EXAMPLES: Final = 3
_POSITION: Final = re.compile(r" \(byte \d+\)")


@dataclass(slots=True)
class Finding:
    """Rows that are wrong in one way."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.first) < _EXAMPLES:
            self.first.append(number)


@dataclass(slots=True)
class Validation:
    """What a file holds.

    Attributes:
        contract: what its rows were taken for; None without rows.
        findings: by (reason, error), in the order in which they turned up.
    """

    contract: Contract | None = None
    rows: int = 0
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    @property
    def invalid(self) -> int:
        return sum(finding.count for finding in self.findings.values())

    @property
    def valid(self) -> int:
        return self.rows - self.invalid


def validate(
    path: Path,
    decoder: Decoder,
    contract: Contract | None,
    on_progress: Callable[[Validation], None],
    *,
    unit: TimeUnit | None = None,
    zone: str | None = None,
    remark: Remark = lambda _: None,
) -> Validation:
    """Judge every row of the file; `contract` None takes them for what the first one looks like.

    `unit`, `zone` and `remark` are those of `connectors.files.reader.Reading`.

    Raises:
        FileError: the file cannot be read.
    """
    validation = Validation(contract)
    for rows in read_rows(path, unit, zone, remark):
        validation.contract = validation.contract or _contract_of(rows)
        problems = _signal_problems(rows) if validation.contract == "signal" else _event_problems(rows, decoder)
        validation.rows += len(rows.texts) + len(rows.errors)
        _note(validation, [*((number, CONTRACT, error) for number, error in rows.errors), *problems])
        on_progress(validation)
    return validation


def _note(validation: Validation, problems: Iterable[Problem]) -> None:
    for number, reason, error in sorted(problems):
        general = _POSITION.sub("", error)  # so that the same mistake at another byte is the same mistake
        validation.findings.setdefault((reason, general), Finding()).add(number)


def _contract_of(rows: Rows) -> Contract:
    for _, text in rows.texts:
        try:
            first: Any = msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            continue
        is_signal = isinstance(first, dict) and ("signal_id" in first or {"name", "value", "ts"} <= first.keys())
        return "signal" if is_signal else "event"
    return "event"


def _event_problems(rows: Rows, decoder: Decoder) -> list[Problem]:
    batch = decoder.decode(as_fetch("file", rows.texts, time.time_ns() // 1_000_000))
    return list(batch.rejects.select("offset", "reason", "error").iter_rows())


def _signal_problems(rows: Rows) -> list[Problem]:
    problems: list[Problem] = []
    for number, text in rows.texts:
        try:
            decode_signal(text)
        except (ValueError, RecursionError) as error:
            reason = CONTRACT if isinstance(error, msgspec.ValidationError) else UNDECODABLE
            problems.append((number, reason, str(error)))
    return problems
