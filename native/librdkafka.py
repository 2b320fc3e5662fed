"""The functions of librdkafka and the client inside a confluent-kafka consumer; run as a program, a test of both.

A Python object begins with its object header, and in a consumer its `rd_kafka_t*` follows. That layout is not
documented: a release may change it, and a process that reads something else there dies by a signal. So a throwaway
process tests it first: `transports.kafka.queue_probe`.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from confluent_kafka import Consumer, cimpl

LIBRARY: Final = ctypes.CDLL(cimpl.__file__)  # resolves symbols of the librdkafka that it is linked to

_FUNCTIONS: Final = (
    "rd_kafka_queue_get_partition",
    "rd_kafka_queue_forward",
    "rd_kafka_queue_destroy",
    "rd_kafka_consume_batch_queue",
    "rd_kafka_message_errstr",
    "rd_kafka_message_timestamp",
    "rd_kafka_message_headers",
    "rd_kafka_header_get_all",
    "rd_kafka_message_destroy",
)
_NAME: Final = "mdp-probe"


def function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of librdkafka, with the types of its result and arguments."""
    found = getattr(LIBRARY, name)
    found.restype, found.argtypes = result, arguments
    return found


def client_of(consumer: object) -> int:
    """The address of its `rd_kafka_t`."""
    address = ctypes.c_void_p.from_address(id(consumer) + object.__basicsize__).value
    return address or 0


def check() -> None:
    """Raise, or end the process with a signal, if the functions or the client cannot be used."""
    for each in _FUNCTIONS:
        getattr(LIBRARY, each)
    consumer = Consumer({"bootstrap.servers": "", "group.id": _NAME, "client.id": _NAME, "log_level": 0})
    name_of = function("rd_kafka_name", ctypes.c_char_p, ctypes.c_void_p)
    name: bytes = name_of(client_of(consumer)) or b""
    if not name.startswith(f"{_NAME}#consumer-".encode()):
        raise ValueError(f"the pointer in a consumer is not a librdkafka client, or the client is named {name!r}")
    consumer.close()


if __name__ == "__main__":
    check()
