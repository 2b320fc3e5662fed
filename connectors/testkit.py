"""Plays recordings at a connector, without Kafka: raw messages in, envelopes and refusals out.

    acme = connector_for(find("acme.yaml"), symbols=["BTC-USD"])
    played = play(acme, Path("recorded.ndjson").read_bytes().splitlines())
    assert [trade["payload"]["price"] for trade in played.envelopes("trades/v2")] == [114250.13]
    assert not played.refused

It maps as a running connector does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from connectors.connector import Connector, Raw, Refusal, Request
from connectors.manifest import Manifest
from connectors.registry import Registered
from contracts.message import SCHEMAS
from normalize.feed import Arrivals, Feed
from normalize.normalizer import Normalizer

ARRIVED_NS: Final = 1_761_635_669_987_000_000  # 2025-10-28T07:14:29.987Z


class Played(NamedTuple):
    """What raw messages became.

    Attributes:
        all_envelopes: decoded, by type, each type in the order of the raw messages.
        refused: what became none.
        skipped: how many raw messages no mapping is for, where these may be left out.
    """

    all_envelopes: list[dict[str, Any]]
    refused: list[Refusal]
    skipped: int

    def envelopes(self, kind: str) -> list[dict[str, Any]]:
        """Those of a type such as trades/v2."""
        return [one for one in self.all_envelopes if one["schema_ref"] == SCHEMAS + kind]


class Unlimited:
    """A rate limit that nothing has to wait for, and that counts."""

    def __init__(self) -> None:
        self.calls = 0

    async def acquire(self, calls: int = 1) -> None:
        """Counts the calls."""
        self.calls += calls


def request_for(
    manifest: Manifest,
    *,
    symbols: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Request:
    """What a connector is constructed with; secrets that are not given are texts of their own names.

    Raises:
        ManifestError: an option is unknown, missing or not of its type.
    """
    known = {name: f"the {name}" for name in manifest.requires.secrets}
    return Request(
        manifest=manifest,
        limiter=Unlimited(),
        symbols=tuple(symbols),
        options=manifest.given(options or {}),
        secrets={**known, **(secrets or {})},
    )


def connector_for(
    registered: Registered,
    *,
    symbols: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Connector:
    """A connector, constructed and not connected.

    Raises:
        MdpError: it cannot be used as asked.
    """
    return registered.load()(request_for(registered.manifest, symbols=symbols, options=options, secrets=secrets))


def play(connector: Connector, raw: Sequence[Raw], arrived_ns: int = ARRIVED_NS) -> Played:
    """What raw messages become that a connector emits.

    Raises:
        MdpError: a mapping is invalid.
    """
    skips = connector.request.manifest.unmapped == "skip"
    normalizer = Normalizer(connector.mappings(), Feed(connector.source_id), skip_unmapped=skips)
    result = normalizer.normalize(raw, Arrivals([arrived_ns] * len(raw)))
    envelopes = [msgspec.json.decode(value) for group in result.accepted for value in group.values]
    refused = [Refusal(one.record, one.reason, one.error) for one in result.rejected]
    return Played(envelopes, refused, result.skipped)
