"""The text of docs/api.md: the API for plug-ins, from its docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

import polars as pl

from docs.reference.markdown import table

PUBLIC: Final[Mapping[str, Sequence[str]]] = {
    "inference.evaluator": ("Evaluator", "EvaluatorFactory", "signals", "no_signals", "EVALUATED"),
    "contracts.frames": ("features_schema", "EVENTS", "BARS", "SIGNALS"),
    "contracts.message": ("MessageType",),
    "contracts.values": (
        "about",
        "Text",
        "LongText",
        "Url",
        "Time",
        "Price",
        "Size",
        "Number",
        "Int64",
        "Count",
        "Count32",
    ),
    "contracts.registry": ("message_type", "open_envelope"),
    "codec.messages": ("to_frame", "from_frame", "to_arrow", "from_arrow"),
    "normalize.normalizer": ("Normalizer", "Normalized", "Rejected"),
    "normalize.feed": ("Feed", "Arrivals"),
    "normalize.envelopes": ("Accepted",),
    "normalize.mapping": ("load_mappings", "parse_mapping"),
    "connectors.connector": ("Connector", "Request", "Emit", "Receipt", "Refusal", "Span", "Disconnected"),
    "connectors.registry": ("find", "installed"),
    "connectors.testkit": ("connector_for", "play", "Played"),
    "contracts.duration": ("parse_duration", "format_duration"),
    "contracts.timestamps": ("parse_timestamp", "format_timestamp"),
    "contracts.errors": ("MdpError",),
    "contracts.record": ("Records", "Fetch"),
    "contracts.batch": ("MicroBatch",),
    "contracts.partition_keys": ("partition_key", "part_name"),
    "transports.kafka.source": ("Decode",),
    "flows.spec": ("FlowSpec",),
    "flows.config_file": ("load", "connected"),
    "flows.endpoints": ("events", "timescale"),
    "flows.steps": ("chained",),
}

_LISTS: Final = re.compile(r"(Args|Attributes|Raises):")
_PARAGRAPHS: Final = re.compile(r"(Returns|Yields):")
_ENTRY: Final = re.compile(r"(\*{0,2}[\w., ]+?): (.*)")
_INDENT: Final = 4
_WIDTH: Final = 100

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> dict[str, str]:
    """The text of each module by its name, which marks its place on the page."""
    return {name: "\n\n".join(_parts(name, names)) for name, names in PUBLIC.items()}


def _parts(module: str, names: Sequence[str]) -> Iterator[str]:
    yield _python(f"from {module} import {', '.join(names)}")
    for name in names:
        yield f"### {name}"
        yield from _described(module, name, getattr(import_module(module), name))


def _described(module: str, name: str, value: Any) -> Iterator[str]:
    node = _definition(module, name)
    if isinstance(value, pl.Schema):
        yield table(("Column", "Type"), [(f"`{column}`", f"`{dtype}`") for column, dtype in value.items()])
    elif isinstance(node, ast.ClassDef):
        yield _prose(_docstring(node))
        fields = [
            _field(one) for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one)
        ]
        if fields:
            yield table(("Field", "Type"), fields)
        for method in node.body:
            if isinstance(method, _Function) and not method.name.startswith("_") and ast.get_docstring(method):
                yield _property(method, name) if _is_property(method) else _signature(method, f"{name}.")
                yield _prose(_docstring(method))
    elif isinstance(node, ast.FunctionDef):
        yield _signature(node)
        yield _prose(_docstring(node))
    else:
        yield _python(ast.get_source_segment(inspect.getsource(import_module(module)), node) or "")


def _field(node: ast.AnnAssign) -> tuple[str, str]:
    return f"`{ast.unparse(node.target)}`", f"`{ast.unparse(node.annotation)}`"


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(import_module(module)))


def _definition(module: str, name: str) -> ast.stmt:
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return node
    raise ValueError(f"{module} defines no {name}")


def _docstring(node: ast.ClassDef | _Function) -> str:
    """The docstring; raises ValueError if there is none."""
    text = ast.get_docstring(node)
    if text is None:
        raise ValueError(f"{node.name} has no docstring: say what plug-ins get")
    return text


def _signature(node: _Function, prefix: str = "") -> str:
    arguments, result = ast.unparse(node.args), f" -> {ast.unparse(node.returns)}" if node.returns else ""
    waits = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    line = f"{waits}{prefix}{node.name}({arguments}){result}"
    if len(line) > _WIDTH:
        parts = ",\n    ".join(_split(arguments))
        line = f"{waits}{prefix}{node.name}(\n    {parts},\n){result}"
    return _python(line)


def _is_property(node: _Function) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)


def _property(node: _Function, owner: str) -> str:
    return _python(f"{owner}.{node.name}: {ast.unparse(node.returns)}" if node.returns else f"{owner}.{node.name}")


def _split(arguments: str) -> Iterator[str]:
    """The arguments one by one: commas inside brackets do not separate them."""
    depth = start = 0
    for place, sign in enumerate(arguments):
        depth += (sign in "[(") - (sign in "])")
        if sign == "," and depth == 0:
            yield arguments[start:place].strip()
            start = place + 1
    yield arguments[start:].strip()


def _python(text: str) -> str:
    return f"```python\n{text}\n```"


def _prose(docstring: str) -> str:
    """A docstring as Markdown: its arguments and errors as lists, its result as a paragraph."""
    lines: list[str] = []
    in_list = False
    for line in docstring.splitlines():
        text = line.strip()
        if found := _LISTS.fullmatch(line):
            in_list = True
            lines += [f"*{found[1]}*", ""]
        elif found := _PARAGRAPHS.fullmatch(line):
            in_list = False
            lines += [f"*{found[1]}*", ""]
        elif in_list and len(line) - len(text) == _INDENT:
            entry = _ENTRY.fullmatch(text)
            lines.append(f"- `{entry[1]}`: {entry[2]}" if entry else f"- {text}")
        else:
            lines.append(f"  {text}" if in_list and text else text)
    return "\n".join(lines).strip()
