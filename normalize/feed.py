"""Whose raw messages are mapped, and what their arrival adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from contracts.envelope import Envelope
from normalize.paths import MappingError


class Feed(NamedTuple):
    """Whose messages they are.

    Attributes:
        source_id: the provider.
        realm: whose bus they travel on.
        region: where they are taken in.
    """

    source_id: str
    realm: str | None = None
    region: str | None = None

    def check(self) -> None:
        """Raises MappingError: an envelope cannot say this."""
        types: dict[str, Any] = {one.name: one.type for one in msgspec.structs.fields(Envelope)}
        for name, value in self._asdict().items():
            try:
                msgspec.convert(value, types[name])
            except msgspec.ValidationError as error:
                raise MappingError(f"{name} {value!r}: {error}") from None


class Arrivals(NamedTuple):
    """Of each raw message, when it was taken in, and what else its envelopes say about that.

    Attributes:
        times: nanoseconds since the epoch.
        traces: the `traceparent` that it came with; empty if none did.
        partition: of the log that it lies in, if it is in one.
        offsets: where it stands there.
    """

    times: Sequence[int]
    traces: Sequence[bytes | None] = ()
    partition: str | None = None
    offsets: Sequence[int] = ()
