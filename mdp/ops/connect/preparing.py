"""What a connector needs to run: its class, its options and its secrets, checked before anything connects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from connectors.connector import Connector, ConnectorError, Request
from connectors.manifest import Manifest
from connectors.registry import find
from connectors.runtime.health import Health
from connectors.runtime.rate_limit import TokenBucket
from contracts.suggestions import did_you_mean
from flows import secrets
from flows.settings import Settings
from normalize.feed import Feed
from normalize.mapping import MappingConfig
from normalize.normalizer import Normalizer

_OPTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    Attributes:
        connector: its name, or the file of its manifest.
        symbols: as the source writes them.
        options: of the connector, as texts.
    """

    connector: str
    symbols: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


class Prepared(NamedTuple):
    """A connector that is ready to connect."""

    connector: Connector
    normalizer: Normalizer
    health: Health


def split_options(connector: str, given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What `--set` gave: the options of a connector, and the overrides of settings, whose keys have dots.

    Raises:
        ConnectorError, ManifestError: a key is neither.
    """
    manifest = find(connector).manifest
    options: dict[str, str] = {}
    settings: list[str] = []
    for one in given:
        key, separator, value = one.partition("=")
        if key in manifest.options and separator:
            options[key] = value
        elif "." in key or key in Settings.model_fields:
            settings.append(one)
        elif not (separator and _OPTION.fullmatch(key)):
            raise ConnectorError("--set takes an option of the connector, or a setting", "write it as key=value")
        else:
            known = did_you_mean(key, manifest.options) or f"; it has {', '.join(manifest.options) or 'none'}"
            raise ConnectorError(f"connector {manifest.connector_id} has no option {key!r}{known}")
    return options, settings


def prepared(settings: Settings, order: Order) -> Prepared:
    """The connector of an order.

    Raises:
        MdpError: there is no such connector; an option, a secret, a symbol or a package is missing, or a mapping is
            invalid.
    """
    found = find(order.connector)
    manifest = found.manifest
    _check_symbols(manifest, order.symbols)
    options, known = manifest.given(order.options), secrets.named(manifest.requires.secrets)
    health = Health(manifest.connector_id, manifest.stale_after_s)
    request = Request(
        manifest=manifest,
        symbols=order.symbols,
        options=options,
        secrets=known,
        limiter=TokenBucket(manifest.rate_limits, note_wait=health.note_limited),
    )
    connector = found.load()(request)
    normalizer = normalizer_of(settings, manifest, connector.mappings(), connector.source_id)
    return Prepared(connector, normalizer, health)


def normalizer_of(
    settings: Settings, manifest: Manifest, mappings: Sequence[MappingConfig], source_id: str
) -> Normalizer:
    """What makes envelopes of the messages of a source.

    Raises:
        MdpError: a mapping is invalid, or there is none.
    """
    if not mappings:
        raise ConnectorError(f"connector {manifest.connector_id} has no mapping", "add one to its manifest")
    feed = Feed(source_id, settings.messages.realm, settings.connect.region)
    return Normalizer(mappings, feed, skip_unmapped=manifest.unmapped == "skip")


def _check_symbols(manifest: Manifest, symbols: Sequence[str]) -> None:
    if manifest.symbols == "none" and symbols:
        raise ConnectorError(f"connector {manifest.connector_id} takes no symbols", "leave out --symbols")
    if manifest.symbols == "required" and not symbols:
        raise ConnectorError(f"connector {manifest.connector_id} needs symbols", "name them by --symbols")
