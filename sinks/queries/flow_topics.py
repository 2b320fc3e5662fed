"""The id of the topic that each flow reads, as another topic may get its name later."""

from __future__ import annotations

from psycopg.errors import UndefinedTable

from sinks.connection import StoreUnavailable, session
from telemetry.outage import wait_out

_TOPIC_ID = "SELECT topic_id FROM flow_topics WHERE flow = %s AND topic = %s"


def is_the_same(conninfo: str, flow: str, topic: str, topic_id: str) -> bool:
    """Whether the topic is the one of this name that the flow has read before; stores the id of the first one.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        connection.execute(
            "INSERT INTO flow_topics (flow, topic, topic_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [flow, topic, topic_id],
        )
        return connection.execute(_TOPIC_ID, [flow, topic]).fetchone() == (topic_id,)


def known_id(conninfo: str, flow: str, topic: str) -> str | None:
    """The id of the topic of this name that the flow has read before; waits for the database."""

    def ask() -> str | None:
        with session(conninfo) as connection:
            row = connection.execute(_TOPIC_ID, [flow, topic]).fetchone()
        return None if row is None else row[0]

    try:
        return wait_out(ask, StoreUnavailable, "the database")
    except UndefinedTable:  # no flow has read anything yet
        return None
