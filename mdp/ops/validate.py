"""Validates files by the contracts, as the pipeline would if they were produced now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from codec.decode import Decoder
from connectors.files.reader import Remark, read
from connectors.files.times import TimeUnit
from contracts.event import EVENT_V1
from contracts.event_rules import CONTRACT
from mdp.ops.file_events import EventFiles
from mdp.ops.file_messages import MessageFiles, made_of
from mdp.ops.file_rows import Columns, Rows, read_rows
from mdp.ops.judges import EVENT, Problem, contract_of, problems, types_of

_EXAMPLES: Final = 3
_POSITION: Final = re.compile(r" \(byte \d+\)")


@dataclass(slots=True)
class Finding:
    """Rows with the same error."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.first) < _EXAMPLES:
            self.first.append(number)


@dataclass(slots=True)
class Validation:
    """The result of validating a file.

    Attributes:
        contract: what its rows were taken for: event, signal, bar, envelope, or the id of a message type; None without
            rows.
        findings: by (reason, error), in order of occurrence.
    """

    contract: str | None = None
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
    contract: str | None,
    on_progress: Callable[[Validation], None],
    *,
    unit: TimeUnit | None = None,
    zone: str | None = None,
    remark: Remark = lambda _: None,
) -> Validation:
    """Validate every row of the file; with `contract` None, the first row determines it.

    `unit`, `zone` and `remark` are those of `connectors.files.reader.Reading`.

    Raises:
        FileError: the file cannot be read.
        ContractError: there is no such contract.
    """
    columns = Columns(types_of(contract))
    rows = read_rows(path, columns, columns.reading(unit, zone, remark))
    return _validated(Validation(contract), rows, decoder, on_progress)


def validate_mapped(
    files: EventFiles | MessageFiles, decoder: Decoder, on_progress: Callable[[Validation], None]
) -> Validation:
    """Validate every row of files with a map, as what it leads to.

    Raises:
        FileError: a file cannot be read, or lacks a column.
    """
    if isinstance(files, MessageFiles):
        return _validated_messages(files, on_progress)
    (path,) = files.paths
    rows = read_rows(path, Columns((EVENT_V1,)), files.reading)
    return _validated(Validation(EVENT), rows, decoder, on_progress)


def _validated(
    validation: Validation, read: Iterable[Rows], decoder: Decoder, on_progress: Callable[[Validation], None]
) -> Validation:
    for rows in read:
        validation.contract = validation.contract or contract_of(rows)
        found = problems(validation.contract, rows, decoder)
        validation.rows += len(rows.texts) + len(rows.errors)
        _note(validation, [*((number, CONTRACT, error) for number, error in rows.errors), *found])
        on_progress(validation)
    return validation


def _validated_messages(files: MessageFiles, on_progress: Callable[[Validation], None]) -> Validation:
    validation = Validation(files.kind.id)
    for frame in read(files.paths, files.reading):
        wrong = frame.filter(pl.col("flaw").is_not_null())
        good = frame.filter(pl.col("flaw").is_null())
        found = [(number, CONTRACT, flaw) for number, flaw in wrong.select("row", "flaw").iter_rows()]
        for made in made_of(files.kind, iter([good]), None):
            found += [(made.rows["row"][place], CONTRACT, error) for place, error in made.errors.items()]
        validation.rows += frame.height
        _note(validation, found)
        on_progress(validation)
    return validation


def _note(validation: Validation, found: Iterable[Problem]) -> None:
    for number, reason, error in sorted(found):
        general = _POSITION.sub("", error)  # without the position, to group equal errors
        validation.findings.setdefault((reason, general), Finding()).add(number)
