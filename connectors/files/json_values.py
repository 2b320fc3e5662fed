"""Reads JSON documents of many records one by one, with only one record in memory at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from connectors.files.errors import FileError

BLOCK_BYTES: Final = 1 << 20
LONGEST: Final = 64 << 20  # characters of one record
_BLANK: Final = " \t\r\n"

_decoder: Final = json.JSONDecoder()


def is_record(line: bytes) -> bool:
    """Whether a line is a complete object, as in NDJSON."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def values(path: Path | str, stream: IO[bytes]) -> Iterator[bytes]:
    """Yields the texts of the items of an array, or of one value.

    Raises:
        FileError: it is not JSON, or an item is too long.
    """
    text = _Text(path, stream)
    is_array = text.skip("[")
    number = 0
    while not (text.skip("]") if is_array else text.is_over()):
        if number and not (is_array and text.skip(",")):
            raise FileError(f"{path} is not JSON: after value {number} comes something else")
        number += 1
        yield text.value(number)
    if not text.is_over():
        raise FileError(f"{path} is not JSON: something comes after its end")


class _Text:
    """The unread text of a document, buffered as far as needed."""

    def __init__(self, path: Path | str, stream: IO[bytes]) -> None:
        self._path, self._stream = path, stream
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._held, self._at, self._is_whole = "", 0, False

    def skip(self, sign: str) -> bool:
        """Skips `sign` if it is next; returns whether it was."""
        self._skip_blanks()
        if not self._held.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def is_over(self) -> bool:
        self._skip_blanks()
        return self._at == len(self._held)

    def value(self, number: int) -> bytes:
        """The text of the next value."""
        self._skip_blanks()
        while True:
            try:
                _, end = _decoder.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if not isinstance(error, ValueError) or not self._more():
                    raise FileError(f"{self._path} is not JSON: value {number}: {error}") from None
                continue
            if end < len(self._held) or not self._more():  # a number at the end may continue
                text, self._at = self._held[self._at : end], end
                return text.encode()

    def _skip_blanks(self) -> None:
        while True:
            while self._at < len(self._held) and self._held[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._held) or not self._more():
                return

    def _more(self) -> bool:
        """Reads more; returns False at the end of the document."""
        if len(self._held) - self._at > LONGEST:
            raise FileError(f"{self._path}: one value is longer than {LONGEST >> 20} MiB")
        try:
            # Parsing of a long value is retried after reading twice as much, so that the total time stays linear.
            block = self._stream.read(max(BLOCK_BYTES, len(self._held) - self._at))
            text = self._utf8.decode(block, final=not block)
        except UnicodeDecodeError:
            raise FileError(f"{self._path} is not UTF-8 text") from None
        self._held, self._at = self._held[self._at :] + text, 0
        return bool(block)
