"""JSON Schemas of Event v1 and Signal v1, for producers and consumers in other languages.

`python -m contracts.json_schema` writes them to contracts/schemas. They say all of the contract that JSON Schema can
say; whatever the pipeline accepts is valid under them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.event import BAR, KINDS, MAX_PRICE, MAX_TEXT_BYTES, MAX_VOLUME, BarEvent, Event
from contracts.signal import Signal

FOLDER: Final = Path(__file__).with_name("schemas")
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

TIME_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"
_DURATION_PATTERN: Final = r"^[1-9][0-9]{0,8}(ms|s|m|h|d)$"
_TEXT: Final = {"minLength": 1, "maxLength": MAX_TEXT_BYTES, "pattern": r"^[^\x00]*$"}
_PRICE: Final = {"minimum": -MAX_PRICE, "maximum": MAX_PRICE}

_EVENT_RULES: Final[dict[str, dict[str, Any]]] = {
    "provider": _TEXT,
    "symbol": _TEXT,
    "event_id": _TEXT,
    "kind": {"enum": list(KINDS)},
    "src_ts": {"pattern": TIME_PATTERN},
    "c": _PRICE,
    "v": {"minimum": 0, "maximum": MAX_VOLUME},
}
_BAR_RULES: Final[dict[str, dict[str, Any]]] = {
    "interval": {"pattern": _DURATION_PATTERN},
    **dict.fromkeys("ohl", _PRICE),
}
_EVENT_DESCRIPTION: Final = (
    "A tick, a bar or a heartbeat. A field that is null counts as missing; other fields are ignored, so are o, h, l "
    "and interval of what is no bar. Not said here: l <= o, c <= h; the interval of a bar divides the window; texts "
    "have at most 256 bytes of UTF-8; src_ts exists in the calendar, and is not too far ahead of the record's own "
    "timestamp."
)


def event_schema() -> dict[str, Any]:
    """What a JSON record on the events topic has to look like."""
    common, all_properties = _properties(Event, _EVENT_RULES), _properties(BarEvent, _BAR_RULES)
    of_bars = {name: schema for name, schema in all_properties.items() if name not in common}
    return {
        "$schema": _DIALECT,
        "title": "Event v1",
        "description": _EVENT_DESCRIPTION,
        "type": "object",
        "properties": common,
        "allOf": [
            _present("provider", "kind", "src_ts"),
            {"if": _is_kind("heartbeat"), "else": _present("symbol", "c", "v")},
            {"if": _is_kind(BAR), "then": {"properties": of_bars}},
            {"if": _is_kind(BAR), "then": _present(*of_bars)},
        ],
    }


def signal_schema() -> dict[str, Any]:
    """What a JSON record on the signals topic has to look like."""
    properties = _properties(Signal, {})
    properties["ts"] = {**properties["ts"], "pattern": TIME_PATTERN}
    return {
        "$schema": _DIALECT,
        "title": "Signal v1",
        "description": "What an evaluator said about a symbol at the end of a window, ts.",
        "type": "object",
        "properties": properties,
        "required": [field.encode_name for field in msgspec.structs.fields(Signal) if field.required],
        "additionalProperties": False,
    }


def _properties(contract: type[msgspec.Struct], rules: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The properties as msgspec generates them, with `{type: [string, null]}` for its wordier anyOf, and the rules."""
    generated = msgspec.json.schema(contract)["$defs"][contract.__name__]["properties"]
    return {name: {**_flat(schema), **rules.get(name, {})} for name, schema in generated.items()}


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in schema.items() if key not in ("default", "anyOf")}
    for option in schema.get("anyOf", []):
        types = [*plain.get("type", []), option["type"]]
        plain |= {**option, "type": types}
    return plain


def _present(*names: str) -> dict[str, Any]:
    """These are there, and not null."""
    return {"required": list(names), "properties": {name: {"not": {"type": "null"}} for name in names}}


def _is_kind(kind: str) -> dict[str, Any]:
    return {"properties": {"kind": {"const": kind}}, "required": ["kind"]}


def texts() -> dict[str, str]:
    """The schema files by name."""
    schemas = {"event-v1.json": event_schema(), "signal-v1.json": signal_schema()}
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
