"""docs/configuration.md against the models: every key, and its default, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from flows.settings import Settings
from inference.config import EntryPointConfig
from inference.rules import RuleConfig
from mdp.topics import TopicConfig, TopicsConfig

FILE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([^`]+)` \| [^|]+ \| (?:`([^`]+)`|—) \|", re.MULTILINE)
REQUIRED = "required"

Defaults = dict[str, Any]


def section(title: str) -> str:
    _, _, rest = FILE.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def documented(title: str) -> Defaults:
    rows = ROW.findall(section(title))
    assert len(rows) == len({key for key, _ in rows}), "a key stands there twice"
    return {key: yaml.safe_load(default) if default else REQUIRED for key, default in rows}


def models(annotation: Any) -> Iterator[tuple[type[BaseModel], str, bool]]:
    """The models inside an annotation, what stands between a key and theirs, and whether it may be something else."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, "", False
    elif get_origin(annotation) is tuple:
        yield from ((model, "[]", True) for model, _, _ in models(get_args(annotation)[0]))
    elif get_origin(annotation) in (Union, UnionType):
        yield from ((model, infix, True) for part in get_args(annotation) for model, infix, _ in models(part))


def default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return REQUIRED
    return to_jsonable_python(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def keys(model: type[BaseModel], prefix: str = "") -> Defaults:
    found: Defaults = {}
    for name, field in model.model_fields.items():
        key = prefix + name
        inner = list(models(field.annotation))
        if not inner or inner[0][2]:
            found[key] = default(field)
        for part, infix, _ in inner:
            found |= keys(part, f"{key}{infix}.")
    return found


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("configs/streaming.yaml", keys(Settings) | keys(EntryPointConfig, "inference.adapters.<name>.")),
        ("configs/rules.yaml", keys(RuleConfig)),
        ("configs/topics.yaml", keys(TopicConfig)),
    ],
)
def test_the_documented_keys_and_defaults_are_those_of_the_models(title: str, expected: Defaults) -> None:
    assert documented(title) == expected


def test_the_topics_file_has_no_other_sections() -> None:
    assert set(TopicsConfig.model_fields) == {"defaults", "topics"}
    assert all(f"`{name}`" in section("configs/topics.yaml") for name in TopicsConfig.model_fields)


def test_links_lead_to_headings() -> None:
    folder = FILE.parent
    for name in ("configuration.md", "extending.md", "semantics.md", "../README.md"):
        text = (folder / name).read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", text):
            file = ((folder / name).parent / target).resolve() if target else folder / name
            assert file.exists(), f"{name} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{name} links to #{anchor}"
