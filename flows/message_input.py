"""What the persisting dataflow reads: how the records of its topics are decoded, and where large payloads lie."""

from __future__ import annotations

from dataclasses import dataclass

from codec.encoding import Blob, Blobs, PayloadCodec
from codec.envelopes import EnvelopeDecoder
from contracts.registry import stored_types
from flows.settings import Settings
from telemetry.outage import wait_out
from transports.blobs.pointers import BlobStoreError
from transports.blobs.store import open_store


def message_decoder(settings: Settings) -> EnvelopeDecoder:
    """Decodes records to messages of all types that are stored."""
    return EnvelopeDecoder(stored_types(), payload_codec(settings))


def payload_codec(settings: Settings) -> PayloadCodec:
    """Packs large payloads and unpacks them, with the blob store of the config if there is one."""
    store = settings.messages.blobs
    return PayloadCodec(None if store is None else _Patient(open_store(store)))


@dataclass(frozen=True, slots=True)
class _Patient:
    """A blob store that is waited for while it does not answer."""

    store: Blobs

    def write(self, data: bytes) -> Blob:
        return wait_out(lambda: self.store.write(data), BlobStoreError, "the blob store")

    def read(self, blob: Blob) -> bytes:
        return wait_out(lambda: self.store.read(blob), BlobStoreError, "the blob store")
