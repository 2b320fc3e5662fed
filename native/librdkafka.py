"""The functions of librdkafka, and the client inside a consumer of confluent-kafka; run as a program, a try of them.

A Python object begins with what all of them have, and a consumer goes on with its `rd_kafka_t*`. Nobody has promised
that: a release may put something else there, and whoever reads that ends with a signal. So it is tried first, by a
process that nothing depends on: `transports.kafka.queue_probe`.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from confluent_kafka import Consumer, cimpl

LIBRARY: Final = ctypes.CDLL(cimpl.__file__)  # leads on to the librdkafka that it is linked to

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
    """One of the functions, for what types it takes and returns."""
    found = getattr(LIBRARY, name)
    found.restype, found.argtypes = result, arguments
    return found


def client_of(consumer: object) -> int:
    """The address of its `rd_kafka_t`."""
    address = ctypes.c_void_p.from_address(id(consumer) + object.__basicsize__).value
    return address or 0


def check() -> None:
    """Raises, or ends the process with a signal, where the functions or the client cannot be used."""
    for each in _FUNCTIONS:
        getattr(LIBRARY, each)
    consumer = Consumer({"bootstrap.servers": "", "group.id": _NAME, "client.id": _NAME, "log_level": 0})
    name_of = function("rd_kafka_name", ctypes.c_char_p, ctypes.c_void_p)
    name: bytes = name_of(client_of(consumer)) or b""
    if not name.startswith(f"{_NAME}#consumer-".encode()):
        raise ValueError(f"what lies in a consumer is no client of librdkafka, or is called {name!r}")
    consumer.close()


if __name__ == "__main__":
    check()
