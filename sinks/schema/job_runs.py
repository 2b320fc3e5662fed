"""The record of runs: flow, config, and how each run ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from sinks.connection import session

Ending = Literal["finished", "stopped", "failed"]


def start_run(conninfo: str, run_id: UUID, flow: str, config: Mapping[str, Any]) -> None:
    """Records a run as running. Each process of a run may call it; the first call counts.

    `config` is anything that json.dumps accepts; it must hold no secrets.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        connection.execute(
            "INSERT INTO job_runs (run_id, flow, status, config) VALUES (%s, %s, 'running', %s)"
            " ON CONFLICT (run_id) DO NOTHING",
            [run_id, flow, Jsonb(dict(config))],
        )


def config_of_live_run(conninfo: str, flow: str) -> Mapping[str, Any] | None:
    """The config of the newest run of `flow` that has not ended, as far as known, and is not limited to a time range.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    query = (
        "SELECT config FROM job_runs WHERE flow = %s AND status = 'running'"
        " AND config #>> '{run,from_ns}' IS NULL AND config #>> '{run,to_ns}' IS NULL"
        " ORDER BY started_at DESC LIMIT 1"
    )
    with session(conninfo) as connection:
        row = connection.execute(query, [flow]).fetchone()
        return row[0] if row else None


def finish_run(
    conninfo: str, run_id: UUID, status: Ending, counts: Mapping[str, int], error: str | None = None
) -> None:
    """Records how the run ended.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        connection.execute(
            "UPDATE job_runs SET status = %s, finished_at = now(), counts = %s, error = %s WHERE run_id = %s",
            [status, Jsonb(dict(counts)), error, run_id],
        )
