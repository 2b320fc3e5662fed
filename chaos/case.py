"""What is run under faults: some dataflows, their config, their load, and who judges what comes out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from chaos.outputs import Findings
    from chaos.pipeline import Pipeline


class Judge(Protocol):
    """Compares the outputs of a pipeline with those that its log has to lead to."""

    def has_all(self) -> bool:
        """Whether what follows from the log that was written up to now has been written, too."""

    def findings(self, written: Mapping[int, int]) -> Findings:
        """What is missing, wrong or duplicated, of the log up to these offsets."""

    def end_load(self) -> None:
        """Ends what it sends beside the load."""

    def stop(self) -> None:
        """Ends everything that it has started."""


@dataclass(frozen=True)
class Case:
    """A pipeline.

    Attributes:
        flows: the commands of `mdp stream` that run side by side.
        faults: the kinds that it is to survive.
        log: the topic that the load goes to.
        configure: writes what the config refers to into a folder, and returns the config.
        load: the command that sends the load: takes the brokers, events per second, seconds and a seed.
        judging: who judges it; takes the seed, too.
    """

    flows: tuple[str, ...]
    faults: tuple[str, ...]
    log: str
    configure: Callable[[Path], Mapping[str, Any]]
    load: Callable[[str, float, float, int], list[str]]
    judging: Callable[[Pipeline, int], Judge]


def mdp(*arguments: str) -> list[str]:
    """The command line of an `mdp` command."""
    return [sys.executable, "-c", "from mdp.cli import main; main()", *arguments]
