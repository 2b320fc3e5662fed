"""YAML files that people write, and what is wrong with them: in one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from contracts.errors import MdpError
from contracts.suggestions import did_you_mean

Place = tuple[int | str, ...]  # the keys and numbers that lead to a value


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, of which YAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_document(file: Path, what: str, error_type: type[MdpError]) -> Any:
    """The content of a YAML file.

    Args:
        file: its path, by which errors name it.
        what: it is, such as the map.
        error_type: of the errors.

    Raises:
        MdpError: it cannot be read, or is not YAML.
    """
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise error_type(f"{file}: cannot read {what}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise error_type(f"{file}: not YAML: {' '.join(str(error).split())}") from None


def dotted(place: Place) -> str:
    """The place as people write it: columns.price."""
    return ".".join(map(str, place))


def first_problem(
    error: ValidationError, known_keys: Callable[[Place], Iterable[str]], named: Callable[[Place], str] = dotted
) -> str:
    """The first problem, after a colon; an unknown key before the missing one that it stands for.

    Args:
        error: of a document that was validated.
        known_keys: those of the section at a place.
        named: how a place is written.
    """
    problems = error.errors(include_url=False)
    unknown = next((one for one in problems if one["type"] == "extra_forbidden"), None)
    if unknown is not None:
        *section, word = unknown["loc"]
        suggestion = did_you_mean(str(word), known_keys(tuple(section)))
        return f": {named(unknown['loc'])} is not a known key{suggestion}"
    first = problems[0]
    place = named(first["loc"])
    return f": {f'{place}: ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
