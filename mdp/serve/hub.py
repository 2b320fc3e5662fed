"""All connected browsers, and the updates for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from mdp.serve.client import Client
from mdp.serve.directory import Directory
from sinks.queries.charts import Chart, ChartRows
from sinks.queries.live import Series, Signal

_MOST_CLIENTS: Final = 200


class TooManyClients(Exception):  # noqa: N818 - says what happened
    """The maximum number of streams is open."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is shown somewhere: charts, and series in watch lists."""

    charts: tuple[Chart, ...] = ()
    listed: tuple[Series, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """The rows read for the shown charts and series; lines are of closes, oldest first."""

    charts: Mapping[Chart, ChartRows]
    lines: Mapping[Series, Sequence[float]]


class Hub:
    """Everything here happens on one event loop.

    Attributes:
        joined: set when a new browser has no data yet.
    """

    def __init__(self) -> None:
        self.joined = asyncio.Event()
        self._clients: set[Client] = set()
        self._directory = Directory()
        self._recent: Sequence[Signal] = ()
        self._latest: dict[str, Any] = {}
        self._closed = False

    def check_room(self) -> None:
        """Raise TooManyClients if the maximum is reached."""
        if len(self._clients) >= _MOST_CLIENTS:
            raise TooManyClients(f"{_MOST_CLIENTS} pages are open: close one")

    @contextmanager
    def joined_by(self, client: Client) -> Iterator[None]:
        """Register the client for as long as its stream is open."""
        for kind, value in self._latest.items():
            client.mailbox.put(kind, value)
        client.send_recent(self._recent)
        if self._closed:
            client.mailbox.close()
        self._clients.add(client)
        self.joined.set()
        try:
            yield
        finally:
            self._clients.discard(client)

    @property
    def is_empty(self) -> bool:
        return not self._clients

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for client in self._clients:
            client.mailbox.close()

    def asked(self) -> Asked:
        """What has to be read for the connected browsers."""
        clients = [client for client in self._clients if not client.mailbox.closed]
        for client in clients:
            client.resolve(self._directory)
        charts = {client.chart for client in clients}
        listed = {series for client in clients for series in client.listed}
        return Asked(tuple(sorted(filter(None, charts))), tuple(sorted(listed)))

    def set_directory(self, directory: Directory) -> None:
        """Send the current directory."""
        self._directory = directory
        self.send("providers", directory.providers)
        self.send("columns", directory.features)

    def set_recent(self, signals: Sequence[Signal]) -> None:
        """Send the newest signals of each provider and name, newest first."""
        self._recent = signals
        self.send("names", sorted({one.name for one in signals}))
        for client in self._clients:
            client.send_recent(signals)

    def send(self, kind: str, value: Any) -> None:
        """Send a value to all browsers, including later ones."""
        if kind not in self._latest or self._latest[kind] != value:
            self._latest[kind] = value
            for client in self._clients:
                client.mailbox.put(kind, value)

    def deliver(self, look: Look) -> None:
        """Send each browser its updates."""
        for client in self._clients:
            client.send_chart(look.charts)
            client.send_lines(look.lines)
