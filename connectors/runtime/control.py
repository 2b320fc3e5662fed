"""Messages of the connectors themselves: gaps and positions, in envelopes, on the topics of their types."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from codec.output_headers import of_known, of_schema
from connectors.runtime.publishing import Targets
from connectors.runtime.sink import Delivery, Sink
from contracts.headers import SOURCE
from contracts.message import MessageType
from contracts.schema_names import name_of
from contracts.trace_context import new_trace
from normalize.envelopes import Envelopes
from normalize.feed import Arrivals, Feed
from normalize.rows import Columns

_FULL_SECONDS: Final = 0.01


class ControlSender:
    """Sends messages of one type about a feed."""

    def __init__(self, kind: MessageType, feed: Feed, sink: Sink, targets: Targets) -> None:
        self.source_id: Final = feed.source_id
        self._topic: Final = targets.topic_of(kind)
        self._envelopes = Envelopes(kind, feed)
        self._sink, self._targets = sink, targets
        self._headers = [*of_schema(name_of(kind)), (SOURCE, feed.source_id.encode())]

    async def send(self, fields: Mapping[str, Any], time_ns: int, now_ns: int, key: str | None = None) -> Delivery:
        """Sends a message; waits while the sink has no room.

        Args:
            fields: of the payload.
            time_ns: the event time.
            now_ns: when it was made.
            key: of the record, if it is not the symbol.

        Raises:
            MdpError: the sink takes nothing any more.
        """
        columns = Columns([dict(fields)], [time_ns], [None], [None])
        made, errors = self._envelopes.of(columns, [0], [0], Arrivals([now_ns]))
        assert not errors, errors
        (own_id,), (dedupe_key,), (ordered_by,) = made.message_ids, made.dedupe_keys, made.partition_keys
        known = of_known(own_id.encode(), dedupe_key.encode(), ordered_by.encode(), new_trace(own_id))
        headers = self._headers + known + self._targets.sender.headers(now_ns)
        delivery, record_key = self._sink.delivery(), (made.keys[0] if key is None else key).encode()
        while not self._sink.send(self._topic, record_key, made.values[0], headers, delivery):
            self._sink.poll()
            await asyncio.sleep(_FULL_SECONDS)
        delivery.complete()
        return delivery
