"""The manifest of a connector: what it emits, needs and is able to do, in YAML.

    connector_id: acme
    version: 1.0.0
    emits: [{ event_type: trades.tick, schema_ref: utp://schemas/trades/v2 }]
    requires: { secrets: [ACME_KEY], nets: [internet] }
    rate_limits: { max_rps: 5, burst: 10 }
    uses: websocket
    websocket:
      url: wss://feed.acme.example/v1
      subscribe: { op: subscribe, key: "${ACME_KEY}", channels: ["trades.{symbol}"] }
    mapping: acme_mapping.yaml          # or the mapping itself

Every type that it emits has to exist, and every mapping has to fit its type: both are checked when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from connectors.http.section import HttpSection
from connectors.options import OptionConfig, OptionError
from connectors.section import AS_TUPLE, Duration, Section, Texts, seconds
from connectors.websocket.section import WebsocketSection
from contracts.documents import Place, first_problem, read_document
from contracts.errors import MdpError
from contracts.fields import ContractError
from contracts.registry import message_type
from contracts.suggestions import did_you_mean
from normalize.mapping import MappingConfig, load_mappings, parse_mapping
from normalize.normalizer import mapper_of
from normalize.paths import MappingError

FILE: Final = "connector.manifest.yaml"

_VERSION: Final = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"


class ManifestError(MdpError):
    """A manifest is invalid; one line names the key and what is allowed."""


class Emitted(Section):
    """A type of message that a connector emits."""

    event_type: str = Field(description="The stream.")
    schema_ref: str = Field(description="The type, `utp://schemas/trades/v2`.")


class Requirements(Section):
    """What a connector needs."""

    secrets: Texts = Field(default=(), description="Variables of the environment, or `NAME_FILE`s.")
    nets: Texts = Field(default=(), description="The networks that it has to reach, such as `internet`.")
    deps: Texts = Field(default=(), description="Python packages that it needs.")


class Capabilities(Section):
    """What a connector is able to do."""

    batching: bool = Field(default=False, description="Whether one raw message may hold several messages.")
    backfill: bool = Field(default=False, description="Whether it can get what was sent before.")


class RateLimits(Section):
    """How often the source may be called: in any w seconds at most `burst + max_rps * w` times."""

    max_rps: float = Field(default=10.0, gt=0, allow_inf_nan=False, description="Calls per second in the long run.")
    burst: int = Field(default=10, ge=1, description="Calls at once.")


class ReconnectSection(Section):
    """How long to wait before connecting again: twice as long each time, with jitter."""

    first: Duration = Field(default="250ms", description="After the first failure.")
    longest: Duration = Field(default="30s", description="The most; a connection that lasts as long begins anew.")

    @property
    def first_s(self) -> float:
        return seconds(self.first)

    @property
    def longest_s(self) -> float:
        return max(seconds(self.longest), self.first_s)


class HealthSection(Section):
    """Where a running connector says how it is."""

    endpoint: str = Field(default="/health", pattern="^/[a-z0-9/_-]*$", description="The path on its metrics port.")


class Manifest(Section):
    """The manifest of one connector."""

    connector_id: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Its name, and the `source_id`.")
    version: str = Field(pattern=_VERSION, description="Three numbers.")
    description: str = Field(default="", description="One line for `mdp connect list`.")
    emits: Annotated[tuple[Emitted, ...], AS_TUPLE] = Field(
        default=(), description="What it emits; empty for one that others `use`."
    )
    requires: Requirements = Requirements()
    capabilities: Capabilities = Capabilities()
    rate_limits: RateLimits = RateLimits()
    health: HealthSection = HealthSection()
    reconnect: ReconnectSection = ReconnectSection()
    extra: str | None = Field(default=None, description="The extra of mdp that it needs: `pip install 'mdp[ccxt]'`.")
    options: dict[str, OptionConfig] = Field(default_factory=dict, description="What `--set` takes.")
    symbols: Literal["required", "optional", "none"] = Field(default="optional", description="Whether it takes any.")
    stale_after: Duration | None = Field(
        default=None, description="The silence, such as 30s, after which it reconnects."
    )
    drop: Texts = Field(
        default=(), description="The `event_type`s whose messages may be dropped while Kafka is behind; no others are."
    )
    sequence: Literal["contiguous", "none"] = Field(
        default="none", description="Whether a symbol's sequences have no holes, so that a hole is a gap."
    )
    unmapped: Literal["reject", "skip"] = Field(
        default="reject", description="What to do with messages that no mapping is for: to the DLQ, or left out."
    )
    mapping: tuple[MappingConfig, ...] = Field(
        default=(),
        description="[How raw messages become canonical ones](normalize.md#mappings): a mapping, a list of them, or "
        "the name of a file beside the manifest.",
    )
    uses: str | None = Field(default=None, description="The connector whose code it runs, such as `websocket`.")
    websocket: WebsocketSection | None = Field(default=None, description="For `uses: websocket`.")
    http: HttpSection | None = Field(default=None, description="For `uses: http`.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = {one.event_type for one in self.emits}
        for name in self.drop:
            if name not in known:
                raise ValueError(f"drop: {name} is not emitted{did_you_mean(name, known)}")
        for section in ("websocket", "http"):
            if getattr(self, section) is not None and self.uses != section:
                raise ValueError(f"{section} is for a connector that says `uses: {section}`")
            if getattr(self, section) is None and self.uses == section:
                raise ValueError(f"`uses: {section}` needs a section {section}")
        return self

    @property
    def stale_after_s(self) -> float | None:
        """The silence after which to reconnect, in seconds."""
        return None if self.stale_after is None else seconds(self.stale_after)

    def completed_by(self, used: Manifest) -> Manifest:
        """The manifest with the options, the secrets and the extra of the connector whose code it uses."""
        secrets = tuple(dict.fromkeys((*used.requires.secrets, *self.requires.secrets)))
        return self.model_copy(
            update={
                "options": {**used.options, **self.options},
                "requires": self.requires.model_copy(update={"secrets": secrets}),
                "extra": self.extra or used.extra,
            }
        )

    def given(self, options: Mapping[str, str]) -> dict[str, Any]:
        """The values of all options, given some as texts.

        Raises:
            ManifestError: one is unknown, missing or not of its type.
        """
        unknown = next((name for name in options if name not in self.options), None)
        if unknown is not None:
            known = did_you_mean(unknown, self.options) or f"; it has {', '.join(self.options) or 'none'}"
            raise ManifestError(f"connector {self.connector_id} has no option {unknown!r}{known}")
        try:
            return {name: option.value(name, options.get(name)) for name, option in self.options.items()}
        except OptionError as error:
            raise ManifestError(f"connector {self.connector_id}: {error}", "give it by --set") from None


def load_manifest(file: Path) -> Manifest:
    """The manifest in a file; names of other files in it are relative to its folder.

    Raises:
        ManifestError: it cannot be read, or is invalid: an unknown key, a type of message that does not exist, or a
            mapping that does not fit its type.
    """
    content = _content(file)
    try:
        content["mapping"] = _mappings(content.get("mapping", ()), file)
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise ManifestError(f"{file}{first_problem(error, _known_keys)}") from None
    except MappingError as error:
        raise ManifestError(str(error)) from None
    _check_types(manifest, file)
    return manifest


def _content(file: Path) -> dict[str, Any]:
    content = read_document(file, "the manifest", ManifestError)
    if not isinstance(content, dict):
        raise ManifestError(f"{file}: expected a manifest with a connector_id")
    return content


def _mappings(given: Any, file: Path) -> tuple[MappingConfig, ...]:
    if isinstance(given, str):
        return load_mappings(file.parent / given)
    entries = given if isinstance(given, list | tuple) else [given]
    return tuple(parse_mapping(entry, f"{file}: mapping {number}") for number, entry in enumerate(entries, 1))


def _check_types(manifest: Manifest, file: Path) -> None:
    """Whether the types exist, and the mappings lead to those that are said to be emitted."""
    try:
        for one in manifest.emits:
            kind = message_type(one.schema_ref)
            if kind.event_type != one.event_type:
                raise ContractError(f"emits: the event_type of {kind.id} is {kind.event_type}, not {one.event_type!r}")
        emitted = {message_type(one.schema_ref).id for one in manifest.emits}
        for mapping in manifest.mapping:
            kind = mapper_of(mapping).kind
            if kind.id not in emitted:
                raise ContractError(f"mapping leads to {kind.id}, which is not among `emits`")
    except MdpError as error:
        raise ManifestError(f"{file}: {error}", error.remedy) from None


def _known_keys(section: Place) -> list[str]:
    """The keys of a section of the manifest; none if it is none."""
    model: Any = Manifest
    for part in section:
        field = model.model_fields.get(str(part)) if isinstance(model, type) and issubclass(model, BaseModel) else None
        options = () if field is None else (field.annotation, *getattr(field.annotation, "__args__", ()))
        model = next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
    return [] if model is None else list(model.model_fields)
