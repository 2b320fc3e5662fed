"""Which topic each flow reads: by its id, as another topic may come to have its name."""

from __future__ import annotations

from sinks.connection import session


def is_the_same(conninfo: str, flow: str, topic: str, topic_id: str) -> bool:
    """Whether the topic is the one of this name that the flow has read before; the first one is remembered.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        connection.execute(
            "INSERT INTO flow_topics (flow, topic, topic_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [flow, topic, topic_id],
        )
        query = "SELECT topic_id FROM flow_topics WHERE flow = %s AND topic = %s"
        return connection.execute(query, [flow, topic]).fetchone() == (topic_id,)
