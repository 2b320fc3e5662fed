"""What the tests of large payloads send: headers of a message, and bytes that gzip cannot pack."""

from __future__ import annotations

import random

from contracts.headers import MessageHeaders

HEADERS = MessageHeaders(
    message_id="018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2",
    schema_fqdn="utp.orderbook.v1",
    schema_version="1.0.0",
    content_type="application/json",
    produced_at="2025-10-24T14:02:00Z",
    producer="test@here",
    source="kraken",
    run_id="run",
    partition_key="BTC-USD",
)


def noise(size: int) -> bytes:
    """What gzip cannot pack."""
    return random.Random(size).randbytes(size)
