"""Golden envelopes: records as files, for those who write producers and consumers in any language.

    {"topic": …, "headers": {name: text}, "payload_json": …, "note": …}

The value of the record is `payload_json` as compact JSON, or else what `payload_base64` (also `payload_b64`) or
`payload_hex` hold; without any of them it is empty. Those of mdp are in contracts/golden, by type.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.headers import MESSAGE_ID, PRODUCED_AT, RUN_ID, SCHEMA_FQDN, MessageHeaders, decode_headers
from contracts.message_ids import message_id
from contracts.record import Headers
from contracts.timestamps import parse_timestamp

FOLDER: Final = Path(__file__).with_name("golden")


class GoldenError(ValueError):
    """The file is no golden envelope."""


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """A record and where it goes.

    Attributes:
        headers: as texts, by name.
        payload_json, payload_base64, payload_b64, payload_hex: the value; one of them at most counts, in this order.
        extra_headers: others that the record has besides.
        note, notes: for people.
    """

    topic: str
    headers: dict[str, str | int]
    payload_json: Any = None
    payload_base64: str | None = None
    payload_b64: str | None = None
    payload_hex: str | None = None
    extra_headers: dict[str, str] = {}
    note: str = ""
    notes: str = ""

    @property
    def value(self) -> bytes:
        """The value of the record.

        Raises:
            GoldenError: it is not written as it should be.
        """
        if self.payload_json is not None:
            return msgspec.json.encode(self.payload_json)
        try:
            if self.payload_hex is not None:
                return bytes.fromhex(self.payload_hex)
            return base64.b64decode(self.payload_base64 or self.payload_b64 or "", validate=True)
        except (ValueError, binascii.Error) as error:
            raise GoldenError(f"the payload cannot be read: {error}") from None

    @property
    def pairs(self) -> Headers:
        """The headers of the record, those of any name."""
        texts = {**self.extra_headers, **self.headers}
        return [(name, str(text).encode()) for name, text in texts.items()]

    def message_headers(self) -> MessageHeaders:
        """The headers of the message; a file may leave it to whoever sends it to name the message and the run.

        Raises:
            HeaderError: a header is missing, or not what it has to be.
        """
        given = {name for name, value in self.pairs if value}
        pairs = self.pairs if RUN_ID in given else [*self.pairs, (RUN_ID, b"golden")]
        return decode_headers(pairs if MESSAGE_ID in given else [*pairs, (MESSAGE_ID, self._message_id())])

    def _message_id(self) -> bytes:
        headers = {name: str(text) for name, text in self.headers.items()}
        try:
            time = parse_timestamp(headers.get(PRODUCED_AT, ""))
        except ValueError:
            time = 0  # what is wrong with it is said with the other headers
        return message_id(time, headers.get(SCHEMA_FQDN, ""), msgspec.json.encode(self)).encode()


_decoder: Final = msgspec.json.Decoder(Golden)


def read_golden(data: bytes) -> Golden:
    """The golden envelope in a JSON text.

    Raises:
        GoldenError: it is none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GoldenError(str(error)) from None
