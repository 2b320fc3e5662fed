"""Which of some mappings a raw message is for: the first whose conditions it meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from contracts.record import Buffer
from normalize.mapping import Scalar
from normalize.paths import Path
from normalize.picking import Picker

Where = Mapping[str, Scalar | list[Scalar]]

_Test = tuple[str, frozenset[tuple[type, Scalar]]]  # which of the values that are read, and what it may be


class Selection:
    """Chooses by values in the message; reads it once for all conditions, and not at all without any.

    Args:
        conditions: of each mapping, by path, what a message has to say there: a value, or one of several.
    """

    def __init__(self, conditions: Sequence[Where]) -> None:
        paths = list(dict.fromkeys(path for where in conditions for path in where))
        self._read: Final = Picker({_name(at): Path.parse(path) for at, path in enumerate(paths)}).read
        self._tests: list[list[_Test]] = [
            [(_name(paths.index(path)), _allowed(values)) for path, values in where.items()] for where in conditions
        ]
        self.select: Final[Callable[[Buffer], int | None]] = self._first if paths else lambda _: 0

    def _first(self, text: Buffer) -> int | None:
        (values,) = self._read(text)
        return next((at for at, tests in enumerate(self._tests) if all(_holds(test, values) for test in tests)), None)


def _allowed(values: Scalar | list[Scalar]) -> frozenset[tuple[type, Scalar]]:
    every = values if isinstance(values, list) else [values]
    return frozenset((type(value), value) for value in every)  # in Python, True == 1


def _name(number: int) -> str:
    return f"condition_{number}"


def _holds(test: _Test, values: Mapping[str, Any]) -> bool:
    name, allowed = test
    value = values[name]
    return isinstance(value, str | int | float) and (type(value), value) in allowed
