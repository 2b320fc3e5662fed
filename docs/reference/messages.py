"""The text of docs/messages.md: every type of message, from its declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator

from contracts.columns import table_columns
from contracts.envelope import stored_columns
from contracts.fields import Field
from contracts.message import MessageType
from contracts.registry import OWN
from docs.reference.markdown import table

_HEADINGS = ("Field", "Type", "Needed", "Unit", "Meaning")


def types() -> str:
    """A section for each type, after a list of them."""
    rows = [(_link(kind), f"`{kind.schema_ref}`", kind.version, _first_sentence(kind)) for kind in OWN]
    overview = table(("Type", "`schema_ref`", "Version", "What it is"), rows)
    return "\n\n".join([overview, *(part for kind in OWN for part in _section(kind))])


def _link(kind: MessageType) -> str:
    return f"[{kind.id}](#{kind.id.replace('/', '')})"  # anchors as GitHub makes them


def _first_sentence(kind: MessageType) -> str:
    return " ".join(kind.description.partition("\n\n")[0].split())


def _section(kind: MessageType) -> Iterator[str]:
    yield f"### {kind.id}"
    yield kind.description
    places = list(_places(kind))
    if places:
        yield "\n".join(f"- {place}" for place in places)
    yield table(_HEADINGS, _rows(kind))
    yield f"```json\n{json.dumps(kind.examples[0], indent=2)}\n```"


def _places(kind: MessageType) -> Iterator[str]:
    topic = kind.topic("<env>", "<realm>")
    if topic is not None:
        yield f"topic: `{topic}`"
    if kind.table is not None:
        columns = table_columns(kind.struct) if kind.event_type is None else stored_columns(kind)
        named = ", ".join(f"`{column.name}` {column.type}" for column in columns)
        yield f"table `{kind.table}`: {named}"


def _rows(kind: MessageType) -> Iterator[tuple[str, ...]]:
    for field in kind.fields:
        yield _row(field.name, field)
        if field.kind == "struct":
            yield from (_row(f"{field.name}.{part.name}", part) for part in field.parts)


def _row(name: str, field: Field) -> tuple[str, ...]:
    return f"`{name}`", field.type_text, "yes" if field.required else "", field.unit, field.description
