"""The JSON Schema files: those of the current types, and those of the last release, which must stay compatible.

`python -m contracts.schema_files` writes contracts/schemas. With `--release` it also writes contracts/released, which
consumers then rely on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from contracts.compatibility import breaks
from contracts.fields import ContractError
from contracts.json_schema import json_schema, text_of
from contracts.message import MessageType
from contracts.registry import OWN

FOLDER: Final = Path(__file__).with_name("schemas")
RELEASED: Final = Path(__file__).with_name("released")


def texts() -> dict[str, str]:
    """The schema files of the project's own types, by name."""
    return {kind.file_name: text_of(json_schema(kind)) for kind in OWN}


def read_released(folder: Path) -> dict[str, dict[str, Any]]:
    """The released schemas by the ids of their types.

    Raises:
        ContractError: a file is not such a schema.
        OSError: one cannot be read.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        try:
            schema = json.loads(file.read_text(encoding="utf-8"))
            found[schema["title"]] = schema
        except (ValueError, TypeError, KeyError) as error:
            raise ContractError(f"{file} is no schema as `mdp contracts show --json` prints them: {error}") from None
    if not found:
        raise ContractError(f"{folder} holds no schemas")
    return found


def broken(released: Mapping[str, Mapping[str, Any]], types: Iterable[MessageType]) -> Iterator[str]:
    """The incompatibilities of the current types with the released ones, one line each."""
    known = {kind.id: kind for kind in types}
    for name, schema in released.items():
        if name not in known:
            yield f"{name} was released, and is gone: keep it for those who send it"
        else:
            yield from (f"{name}: {line}" for line in breaks(schema, json_schema(known[name])))


def main() -> None:
    """Writes the files."""
    for folder in (FOLDER, *([RELEASED] if "--release" in sys.argv[1:] else [])):
        folder.mkdir(exist_ok=True)
        for name, text in texts().items():
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
