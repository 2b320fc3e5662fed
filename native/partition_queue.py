"""What librdkafka has fetched from a partition: messages by their address, and columns of their contents.

confluent-kafka makes an object of each record, which costs more than the rest of reading it. Below it, in C, records
come as an array of pointers to

    struct { int32 error; topic*; int32 partition; void* payload; size_t length; void* key; size_t key_length;
             int64 offset; ... }                                                             (rdkafka.h: stable ABI)

and are copied into columns from there. For everything else the consumer is confluent-kafka's. Its callbacks may run
only inside its own methods, so this reads a queue that never carries callbacks: the partition's own, detached from the
consumer's queue, which is still polled for all other events.

The caller that takes messages must destroy each of them exactly once: they are librdkafka's memory.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
from numba import types

from contracts.binary import NONE, PADDING, BinaryColumn, starts_of
from contracts.record import CONTENT_TYPE_NAMES, GZIP_MAGIC, MAX_CONTENT_TYPE_BYTES, Headers, Records
from contracts.trace_context import TRACEPARENT, TRACEPARENT_BYTES
from native.jit import compiled
from native.librdkafka import LIBRARY, client_of, function
from native.memory import byte, eight_bytes, four_bytes, gather

_Ints = npt.NDArray[np.int64]
Messages = _Ints  # their addresses

_PAYLOAD, _LENGTH, _KEY, _KEY_LENGTH, _OFFSET = 24, 32, 40, 48, 56  # in the struct, in bytes
_OPEN: Final = ord("{")
_GZIP: Final = ord(GZIP_MAGIC)
_NAMES: Final = [ctypes.create_string_buffer(name.encode()) for name in (*CONTENT_TYPE_NAMES, TRACEPARENT)]
_NAME_PLACES: Final = tuple(map(ctypes.addressof, _NAMES))
_PLACE: Final = np.dtype(
    [(part + end, np.int64) for part in ("value", "key", "type", "trace") for end in ("", "_len")]
    + [(name, np.int64) for name in ("offset", "time_ms", "is_packed")]
)

_pointer = ctypes.c_void_p
_get_queue = function("rd_kafka_queue_get_partition", _pointer, _pointer, ctypes.c_char_p, ctypes.c_int32)
_forward = function("rd_kafka_queue_forward", None, _pointer, _pointer)
_give_back = function("rd_kafka_queue_destroy", None, _pointer)
_consume = function("rd_kafka_consume_batch_queue", ctypes.c_ssize_t, _pointer, ctypes.c_int, _pointer, ctypes.c_size_t)
_message_headers = function("rd_kafka_message_headers", ctypes.c_int32, _pointer, _pointer)
_nth_header = function("rd_kafka_header_get_all", ctypes.c_int32, _pointer, ctypes.c_size_t, *[_pointer] * 3)
_error_text = function("rd_kafka_message_errstr", ctypes.c_char_p, _pointer)


def _native(name: str, signature: Any) -> Any:
    """A function of librdkafka for compiled code."""
    llvm.add_symbol(name, ctypes.cast(getattr(LIBRARY, name), _pointer).value)
    return types.ExternalFunction(name, signature)


_timestamp = _native("rd_kafka_message_timestamp", types.int64(types.intp, types.intp))
_headers = _native("rd_kafka_message_headers", types.int32(types.intp, types.intp))
_header = _native("rd_kafka_header_get_all", types.int32(types.intp, types.intp, types.intp, types.intp, types.intp))
_destroy = _native("rd_kafka_message_destroy", types.void(types.intp))


class PartitionQueue:
    """The messages of one partition that a consumer fetches once it has been assigned it.

    Args:
        consumer: a `confluent_kafka.Consumer`, which must live as long as the queue.
    """

    def __init__(self, consumer: object, topic: str, partition: int) -> None:
        self._queue = _get_queue(client_of(consumer), topic.encode(), partition)
        _forward(self._queue, None)

    def take(self, most: int) -> Messages:
        """Take at most `most` fetched messages; does not wait."""
        messages = np.empty(most, np.int64)
        return messages[: max(_consume(self._queue, 0, messages.ctypes.data, most), 0)]

    def close(self) -> None:
        _give_back(self._queue)


def error_of(message: int) -> tuple[int, str | None, int]:
    """The code, text and offset of a message that is not a record."""
    code = ctypes.c_int32.from_address(message).value
    text = _error_text(message)
    offset = ctypes.c_int64.from_address(message + _OFFSET).value
    return code, text.decode("utf-8", "replace") if text else None, offset


def records_of(messages: Messages) -> Records:
    """A copy of the contents of messages."""
    places, answers = np.empty(len(messages), _PLACE), np.empty(4, np.int64)
    _find(messages, _NAME_PLACES, answers, places)
    return Records(
        values=_copied(places["value"], places["value_len"]),
        keys=_copied(places["key"], places["key_len"]),
        content_types=_copied(places["type"], places["type_len"]),
        offsets=np.ascontiguousarray(places["offset"]),
        times_ms=np.ascontiguousarray(places["time_ms"]),
        traces=_copied(places["trace"], places["trace_len"]),
        packed={
            int(places["offset"][row]): _headers_of(int(messages[row])) for row in np.flatnonzero(places["is_packed"])
        },
    )


def _headers_of(message: int) -> Headers:
    """All headers of a message, in their order."""
    headers, name, value, length = _pointer(), ctypes.c_char_p(), _pointer(), ctypes.c_size_t()
    found: Headers = []
    if _message_headers(message, ctypes.byref(headers)) == 0:
        parts = ctypes.byref(name), ctypes.byref(value), ctypes.byref(length)
        while _nth_header(headers, len(found), *parts) == 0:
            data = None if value.value is None else ctypes.string_at(value.value, length.value)
            found.append(((name.value or b"").decode("utf-8", "replace"), data))
    return found


def _copied(addresses: _Ints, lengths: _Ints) -> BinaryColumn:
    lengths = np.ascontiguousarray(lengths)
    starts = starts_of(lengths)
    data = np.empty(starts[-1] + PADDING, np.uint8)
    data[starts[1:] - 1] = 0
    data[starts[-1] :] = 0
    gather(np.ascontiguousarray(addresses), lengths, starts, data)
    return BinaryColumn(data, starts[:-1], lengths)


@compiled
def failed(messages: Messages) -> npt.NDArray[np.bool_]:
    """Which messages are not records."""
    flags = np.zeros(len(messages), np.bool_)
    for row in range(len(messages)):
        flags[row] = four_bytes(messages[row]) != 0
    return flags


@compiled
def fitting(messages: Messages, most: int, most_bytes: int) -> int:
    """How many messages from the first on stay within `most` and `most_bytes` together; at least one."""
    size = 0
    for row in range(min(len(messages), most)):
        size += eight_bytes(messages[row] + _LENGTH) + eight_bytes(messages[row] + _KEY_LENGTH)
        if size > most_bytes and row > 0:
            return row
    return min(len(messages), most)


@compiled
def _find(messages: Messages, names: tuple[int, ...], answers: _Ints, places: npt.NDArray[Any]) -> None:
    """Where the parts of each record lie. To ask for headers costs what they are, and nothing where there are none."""
    for row in range(len(messages)):
        message, place = messages[row], places[row]
        place.value, place.value_len = eight_bytes(message + _PAYLOAD), eight_bytes(message + _LENGTH)
        place.key, place.key_len = eight_bytes(message + _KEY), eight_bytes(message + _KEY_LENGTH)
        is_json = place.value == 0 or (place.value_len > 0 and byte(place.value) == _OPEN)  # whatever a header says
        known = _known_headers(message, names, answers)
        place.type, place.type_len = 0 if is_json else known[0], NONE if is_json else known[1]
        place.trace, place.trace_len = known[2], known[3]
        place.is_packed = place.value != 0 and (place.value_len == 0 or byte(place.value) == _GZIP)
        if place.value == 0:
            place.value_len = NONE
        if place.key == 0:
            place.key_len = NONE
        place.offset, place.time_ms = eight_bytes(message + _OFFSET), _timestamp(message, 0)


@compiled
def _known_headers(message: int, names: tuple[int, ...], answers: _Ints) -> tuple[int, int, int, int]:
    """Content type and traceparent: where each lies, and its length, which is NONE where there is none.

    By the rules of `contracts.record`: the last of a name counts. `answers` has room for four pointers: to all headers,
    and to the name and the value of one, and for its length.
    """
    room, index, kind, kind_len, trace, trace_len = answers.ctypes.data, 0, 0, NONE, 0, NONE
    if _headers(message, room) == 0:
        while _header(answers[0], index, room + 8, room + 16, room + 24) == 0:
            name, value, length = answers[1], answers[2], answers[3]
            if value != 0 and (_is_equal(name, names[0]) or _is_equal(name, names[1])):
                kind, kind_len = value, min(length, MAX_CONTENT_TYPE_BYTES)
            elif _is_equal(name, names[2]):
                trace, trace_len = value, length if value != 0 and length == TRACEPARENT_BYTES else NONE
            index += 1
    return kind, kind_len, trace, trace_len


@compiled
def _is_equal(text: int, other: int) -> bool:
    """Whether two zero-terminated strings are equal."""
    while byte(text) == byte(other) and byte(text) != 0:
        text += 1
        other += 1
    return byte(text) == byte(other)


@compiled
def destroy_all(messages: Messages) -> None:
    """Free the messages."""
    for message in messages:
        _destroy(message)


# Loads the compiled code at import, rather than with the first record.
NO_MESSAGES: Final = np.zeros(0, np.int64)
records_of(NO_MESSAGES)
failed(NO_MESSAGES)
fitting(NO_MESSAGES, 0, 0)
destroy_all(NO_MESSAGES)
