"""Loads the settings: the file, environment variables in it, and overrides of the command line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from contracts.errors import MdpError
from contracts.suggestions import did_you_mean
from flows import project, secrets
from flows.settings import Settings
from sinks.conninfo import parameters_of, with_passfile
from sinks.store_config import embedded_name

CONFIG: Final = "MDP_CONFIG"  # environment variables that pass the command line's options to worker processes
OVERRIDES: Final = "MDP_OVERRIDES"

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_URL_PASSWORD: Final = re.compile(r"(?:://[^:/@?]*:|[?&]password=)([^@&]*)")
_NO_KEY: Final = re.compile(r"[^A-Za-z0-9_.\[\]-]")  # the rest may be a value, such as a password
_SECRETS: Final = frozenset({"url", "options"})  # keys whose values may be passwords
_EMBEDDED: Final = "embedded"


class ConfigError(MdpError):
    """The configuration is invalid; one line names the key, the value and what is allowed."""


def load(path: Path | None = None, overrides: Sequence[str] | None = None) -> Settings:
    """The settings of this process.

    Args:
        path: the YAML file; by default $MDP_CONFIG, or configs/streaming.yaml here or in the project.
        overrides: `key.path=value` texts, the value in YAML; by default those of $MDP_OVERRIDES, a JSON list.

    Raises:
        ConfigError: a file that cannot be read, an unknown key, or a value that is not allowed.
        SecretsError: the file of secrets cannot be used.
    """
    path = path or config_path()
    variables = secrets.read()
    tree = _expanded(_read(path), variables)
    overrides = json.loads(os.environ.get(OVERRIDES, "[]")) if overrides is None else overrides
    for override in overrides:
        _set(tree, override)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{_place(error, path, overrides)}: {_first_problem(error)}") from None
    _remember_secrets(settings)
    return _with_files(settings, path)


def _remember_secrets(settings: Settings) -> None:
    """Registers secrets to mask, even in messages of libraries."""
    url = settings.store.url.get_secret_value()
    connection = parameters_of(url) if embedded_name(url) is None else {}
    options = {name: value.get_secret_value() for name, value in settings.bus.kafka.options.items()}
    named = {**connection, **options, "PGPASSWORD": os.environ.get("PGPASSWORD", "")}
    secrets.remember(*(value for name, value in named.items() if secrets.is_secret(name)))
    secrets.remember(*_URL_PASSWORD.findall(url))  # as written in the URL


def config_path() -> Path:
    """The file that `load` reads by default: $MDP_CONFIG, or the one in the project, or the default one of mdp."""
    given = os.environ.get(CONFIG)
    if given:
        return Path(given)
    return project.CONFIG if project.CONFIG.exists() else project.SHIPPED / project.CONFIG.name


def connected(settings: Settings) -> Settings:
    """The settings with the addresses of the local stack in place of `embedded`.

    Raises:
        ConfigError: the local stack has not been started.
    """
    kafka, store = settings.bus.kafka, settings.store
    if kafka.brokers == _EMBEDDED:
        kafka = kafka.model_copy(update={"brokers": _endpoints()["kafka"]})
    database = embedded_name(store.url.get_secret_value())
    if database is not None:
        endpoints = _endpoints()
        url = with_passfile(endpoints["postgres"], endpoints["passfile"], database or None)
        store = store.model_copy(update={"url": SecretStr(url)})
    bus = settings.bus.model_copy(update={"kafka": kafka})
    return settings.model_copy(update={"bus": bus, "store": store})


def _endpoints() -> dict[str, str]:
    file = project.home() / "endpoints.json"
    try:
        endpoints: dict[str, str] = json.loads(file.read_text())
    except FileNotFoundError:
        raise ConfigError(
            "the local stack has not been started: run `mdp up`, or name a broker and a database"
        ) from None
    return endpoints


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a config file with --config") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {_fault(error)}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} is not a mapping of sections")
    return tree


def _fault(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """The error and its line number, without the line itself, which may contain a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else type(error).__name__


def _expanded(value: Any, variables: Mapping[str, str]) -> Any:
    """Replaces `${NAME}` and `${NAME:-default}` by the environment variable, or else by the secrets file."""
    if isinstance(value, Mapping):
        return {key: _expanded(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [_expanded(part, variables) for part in value]
    return _VARIABLE.sub(lambda match: _variable(match, variables), value) if isinstance(value, str) else value


def _variable(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name = match[1]
    given = os.environ.get(name)
    if given and secrets.is_secret(name):
        secrets.remember(given)
    found = given or variables.get(name) or match[2]
    if found is None:
        raise ConfigError(
            f"environment variable {name} is not set, nor is it in a secrets file ({secrets.FILE}), and the config has "
            "no default for it"
        )
    return found


def _set(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {_NO_KEY.split(key)[0]!r}: write it as key.path=value")
    *parents, last = _split(key)
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {key!r}: {parent} is not a section")
    try:
        tree[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key!r}: the value is not YAML") from None


def _split(key: str) -> list[str]:
    """The parts of a key; the name of a Kafka option may contain dots."""
    before, separator, option = key.partition(".options.")
    return [*before.split("."), "options", option] if separator else key.split(".")


def _place(error: ValidationError, path: Path, overrides: Sequence[str]) -> str:
    """The place of the first problem: on the command line, or in the file."""
    key = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
    set_there = {override.partition("=")[0] for override in overrides}
    is_there = any(key and (key == one or key.startswith(f"{one}.") or one.startswith(f"{key}.")) for one in set_there)
    return "--set" if is_there else str(path)


def _known_keys(section: Sequence[int | str]) -> list[str]:
    """The keys of a section of the config; none if it is not a section."""
    model: Any = Settings
    for part in section:
        field = model.model_fields.get(part)
        model = field.annotation if field is not None else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *section, word = first["loc"]
        text = f"{key} is not a known key{did_you_mean(str(word), _known_keys(section))}"
    elif not key:
        text = first["msg"].removeprefix("Value error, ")
    else:
        hidden = isinstance(first["input"], dict) or _SECRETS.intersection(first["loc"])
        shown = "" if hidden else f" = {first['input']!r}"
        text = f"{key}{shown}: {first['msg'].removeprefix('Value error, ')}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(text.split()) + more


def _with_files(settings: Settings, path: Path) -> Settings:
    """Resolves file names in the config, relative to here, to the config's folder, or to the project."""
    adapters = settings.inference.adapters
    if adapters.rules is not None:
        rules = adapters.rules.model_copy(update={"file": _found(adapters.rules.file, path)})
        adapters = adapters.model_copy(update={"rules": rules})
    if adapters.sklearn.model_path:
        model = str(_found(Path(adapters.sklearn.model_path), path))
        adapters = adapters.model_copy(update={"sklearn": adapters.sklearn.model_copy(update={"model_path": model})})
    inference = settings.inference.model_copy(update={"adapters": adapters})
    sources = tuple(
        source.model_copy(update={"mapping": _found(source.mapping, path)}) for source in settings.normalize.sources
    )
    normalize = settings.normalize.model_copy(update={"sources": sources})
    return settings.model_copy(update={"inference": inference, "normalize": normalize})


def _found(file: Path, config: Path) -> Path:
    places = (Path(), config.resolve().parent, config.resolve().parent.parent, project.SHIPPED.parent)
    return next((place / file for place in places if (place / file).exists()), file)
