"""JSON Schemas of messages, for producers and consumers in other languages.

They contain all rules that JSON Schema can express; everything that the pipeline accepts is valid under them.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from contracts.message import MessageType

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION: Final = "x-version"


def json_schema(kind: MessageType) -> dict[str, Any]:
    """The JSON Schema of messages of this type; numbers have their unit under `x-unit`."""
    schema = {
        "$schema": DIALECT,
        "$id": kind.schema_ref,
        "title": kind.id,
        VERSION: kind.version,
        "description": " ".join(kind.description.split()),
        **_object(msgspec.json.schema(kind.struct)),
        "examples": [dict(example) for example in kind.examples],
    }
    return kind.refine(schema)


def text_of(schema: dict[str, Any]) -> str:
    """The content of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(generated: dict[str, Any]) -> dict[str, Any]:
    """The schema of a struct as msgspec generates it, in one piece: without references, titles and defaults."""
    definitions = generated.get("$defs", {})
    flat = _flat(generated, definitions)
    parts = ("type", "properties", "required", "additionalProperties")
    return {name: flat[name] for name in parts if flat.get(name, []) != []}


def _flat(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with `{type: [string, null]}` for the longer anyOf."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        found = definitions[schema["$ref"].rpartition("/")[2]]
        own = {name: value for name, value in schema.items() if name not in ("$ref", "$defs", "default")}
        return {**_flat(found, definitions), **own}
    plain = {
        name: value
        for name, value in schema.items()
        if name not in ("default", "anyOf", "title", "properties", "items")
    }
    if "properties" in schema:
        plain["properties"] = {name: _flat(value, definitions) for name, value in schema["properties"].items()}
    if "items" in schema:
        plain["items"] = _flat(schema["items"], definitions)
    options = [_flat(option, definitions) for option in schema.get("anyOf", ())]
    if options:
        plain |= _nullable(options)
    return plain


def _nullable(options: list[dict[str, Any]]) -> dict[str, Any]:
    """The combined schema of two, one of which is null."""
    (one,) = (option for option in options if option != {"type": "null"})
    types = {"type": [one["type"], "null"]} if "type" in one else {}
    choices = {"enum": [*one["enum"], None]} if "enum" in one else {}
    return {**one, **types, **choices}
