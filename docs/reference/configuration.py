"""The tables of docs/configuration.md, from the typed config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from connectors.manifest import Manifest
from docs.reference.markdown import choice, table
from flows.settings import Settings
from inference.config import AdaptersConfig, EntryPointConfig
from inference.rules import RuleConfig
from mdp.ops.topics import TopicConfig

_HEADINGS: Final = ("Key", "Type", "Default", "Meaning")
_TYPES: Final = {
    Any: "any value",
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    SecretStr: "secret text",
    Path: "file",
    dict: "map",
    NoneType: "null",
}
_UNDER_ANY_NAME: Final[dict[type[BaseModel], type[BaseModel]]] = {AdaptersConfig: EntryPointConfig}


class Key(NamedTuple):
    """A key of a config file: its `default` is None if it is required, else YAML."""

    name: str
    type: str
    default: str | None
    meaning: str


def tables() -> dict[str, str]:
    """Each table by the name of its marker: a section of the settings, `settings`, `rules` or `topics`."""
    found = {"settings": [], "rules": list(keys(RuleConfig)), "topics": list(keys(TopicConfig))}
    for key in keys(Settings):
        section, dot, _ = key.name.partition(".")
        found.setdefault(section if dot else "settings", []).append(key)
    return {name: _table(rows) for name, rows in found.items()}


def manifest_table() -> str:
    """The table of the keys of connectors' manifests; those of mappings have a page of their own."""
    return _table([key for key in keys(Manifest) if not key.name.startswith("mapping[]")])


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """The keys of a model and of the models in it, in the order of the code.

    Raises:
        ValueError: a key has no description.
    """
    for name, field in model.model_fields.items():
        key = prefix + name
        parts = list(_models(field.annotation))
        if not parts or parts[0].is_choice:
            yield _key(key, field)
        for part in parts:
            yield from keys(part.model, f"{key}{part.infix}.")
    if model in _UNDER_ANY_NAME:
        yield from keys(_UNDER_ANY_NAME[model], f"{prefix}<name>.")


class _Part(NamedTuple):
    model: type[BaseModel]
    infix: str  # what stands between a key and those of the model
    is_choice: bool  # whether there may be something else in its place


def _models(annotation: Any) -> Iterator[_Part]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield _Part(annotation, "", is_choice=False)
    elif get_origin(annotation) is tuple:
        yield from (_Part(part.model, "[]", is_choice=True) for part in _models(get_args(annotation)[0]))
    elif get_origin(annotation) in (Union, UnionType):
        yield from (part._replace(is_choice=True) for one in get_args(annotation) for part in _models(one))


def _key(name: str, field: FieldInfo) -> Key:
    if not field.description:
        raise ValueError(f"{name} has no description: say what it means with Field(description=...)")
    return Key(name, _type(field.annotation, field.metadata), _default(field), field.description)


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The allowed values in words, with bounds."""
    if get_origin(annotation) is Annotated:
        return _type(annotation.__origin__, annotation.__metadata__)
    if get_origin(annotation) is Literal:
        return choice([f"`{value}`" for value in get_args(annotation)])
    if get_origin(annotation) in (Union, UnionType):
        return ", or ".join(_type(one) for one in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {_type(get_args(annotation)[0])}s"
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "section"
    return ", ".join([_TYPES[kind], *_bounds(metadata)])


def _bounds(metadata: Sequence[Any]) -> list[str]:
    # pydantic keeps Annotated[int, Field(ge=0)] as a FieldInfo until a model takes it in
    found = [one for part in metadata for one in (part.metadata if isinstance(part, FieldInfo) else [part])]
    least = next((one.ge for one in found if isinstance(one, Ge)), None)
    above = next((one.gt for one in found if isinstance(one, Gt)), None)
    most = next((one.le for one in found if isinstance(one, Le)), None)
    if least is not None and most is not None:
        return [f"{least:,} to {most:,}"]
    lower = f"at least {least:,}" if least is not None else f"above {above:,}" if above is not None else ""
    return [bound for bound in (lower, f"at most {most:,.0f}" if most is not None else "") if bound]


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    plain = to_jsonable_python(value.get_secret_value() if isinstance(value, SecretStr) else value)
    return yaml.safe_dump(plain, default_flow_style=True, width=1_000).removesuffix("\n...\n").strip() or "''"


def _table(rows: Sequence[Key]) -> str:
    return table(
        _HEADINGS,
        [(f"`{key.name}`", key.type, "—" if key.default is None else f"`{key.default}`", key.meaning) for key in rows],
    )
