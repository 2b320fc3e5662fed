from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from mdp.local import LocalStack
from sinks.connection import StoreUnavailable
from sinks.queries import stored
from sinks.schema.job_runs import start_run
from sinks.schema.migrate import migrate


@pytest.fixture
def standby(tmp_path: Path) -> Iterator[str]:
    """The conninfo of a server with our tables that waits for more of a primary's log."""
    stack = LocalStack(tmp_path / "mdp")
    server = stack.postgres
    try:
        server.start()
        migrate(server.conninfo(), [])
        server.stop()
        assert server.settings is not None
        (Path(server.settings.folder) / "data" / "standby.signal").touch()
        server.start()
        yield server.conninfo()
    finally:
        stack.remove()


def test_a_standby_can_be_read_and_says_where_to_write(standby: str) -> None:
    assert stored.totals(standby)["bars_ohlcv"] == 0
    for write in (lambda: start_run(standby, UUID(int=1), "stream", {}), lambda: migrate(standby, ["rsi"])):
        with pytest.raises(StoreUnavailable, match="it is a standby") as refused:
            write()
        assert "target_session_attrs=read-write" in refused.value.remedy
