"""A deployment that takes a venue in by the connector of ccxt, and what has come of it."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.connectors.venues.venue_server import VenueServer
from tests.forked import Process
from tests.harness import PROJECT, Deployment, Deployments, create_topic_named, kill, records, until

MANIFEST = PROJECT / "connectors" / "ccxt"
PARTITIONS = 2


def quick_manifest() -> dict[str, Any]:
    """The connector's own manifest, but for how long it waits."""
    own: dict[str, Any] = yaml.safe_load((MANIFEST / "connector.manifest.yaml").read_text(encoding="utf-8"))
    return {
        **own,
        "uses": "ccxt",
        "stale_after": "3s",
        "reconnect": {"first": "50ms", "longest": "400ms"},
        "mapping": str(MANIFEST / "mapping.yaml"),
    }


@dataclass
class ConnectorSite:
    """Topics, a database, and the processes of a connector."""

    deploy: Deployments
    venue: VenueServer
    env: str = field(default_factory=lambda: f"v{uuid.uuid4().hex[:8]}")
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        kafka = self.deploy.stack.kafka.bootstrap
        self.trades, self.gaps = f"utp.{self.env}.desk.trades.tick", f"utp.{self.env}.desk.control.gaps"
        for topic in (self.trades, self.gaps):
            create_topic_named(kafka, topic, PARTITIONS)
        self.deployment = self.deploy(
            self.trades,
            partitions=PARTITIONS,
            messages={"env": self.env, "realm": "desk", "topics": [self.trades, self.gaps]},
            market={"input": "envelopes"},
            micro_batch={"allow_late_ms": 600_000},
        )
        self.manifest = self.deployment.folder / f"{self.env}.yaml"
        self.manifest.write_text(yaml.safe_dump(quick_manifest()), encoding="utf-8")

    def arguments(self, command: str, *more: str) -> list[str]:
        venue = self.venue
        options = ("--set", f"venue={venue.dialect.name}", "--set", f"urls={venue.urls}")
        symbols = ("--symbols", venue.dialect.symbol)
        return ["connect", command, "--connector", str(self.manifest), *symbols, *options, *more]

    def start(self) -> Process:
        return self.deployment.command(*self.arguments("run"))

    def stop(self, process: Process) -> None:
        """Stops it, and waits for its end."""
        process.send_signal(signal.SIGTERM)
        self.deployment.ends_well(process)

    def kill(self, process: Process) -> None:
        kill(process)

    def arrived(self) -> list[str]:
        """The ids of the trades in the topic, as often as they are there."""
        return [str(record.json["payload"]["trade_id"]) for record in records(self.deployment.kafka, self.trades)]

    def has_all(self) -> bool:
        dialect = self.venue.dialect
        return set(self.arrived()) == {dialect.trade_id(trade) for trade in self.venue.trades}

    def gap_states(self) -> dict[str, Mapping[str, Any]]:
        """The last message about each gap."""
        found = {}
        for record in records(self.deployment.kafka, self.gaps):
            found[str(record.json["payload"]["gap_id"])] = record.json["payload"]
        return found

    def has_position(self) -> bool:
        """Whether the connector has written how far it is."""
        return bool(records(self.deployment.kafka, f"utp.{self.env}.desk.control.connector_positions"))

    def complete(self) -> None:
        """Waits until all trades of the venue have arrived, and nothing more is sought."""
        until(lambda: self.has_all() and self.is_settled(), f"all trades; {self.said()[-3_000:]}")

    def is_settled(self) -> bool:
        return all(gap["filled"] or "detail" in gap for gap in self.gap_states().values())

    def said(self) -> str:
        return self.deployment.said.read_text(errors="replace") if self.deployment.said.exists() else ""

    def stored_trades(self) -> list[tuple[Any, ...]]:
        """What `persist` makes of the topics, in the order of the venue's trades."""
        self.deployment.run(flow="persist")
        rows = self.deployment.query(
            "SELECT trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, size, side, venue, symbol FROM trades"
        )
        return sorted(rows)

    def played(self) -> list[tuple[Any, ...]]:
        """The same, of what the venue has traded."""
        dialect = self.venue.dialect
        return sorted(
            (
                dialect.trade_id(trade),
                trade.time_ms,
                float(trade.price),
                float(trade.size),
                trade.side,
                dialect.name.upper(),
                dialect.symbol,
            )
            for trade in self.venue.trades
        )

    def bars(self) -> list[tuple[Any, ...]]:
        """What the market dataflow makes of the trades."""
        self.deployment.run(flow="market")
        return self.deployment.query(
            "SELECT (extract(epoch FROM window_start) * 1000)::bigint, open, high, low, close, trades FROM bars_ohlcv"
            " ORDER BY 1"
        )

    def expected_bars(self) -> list[tuple[Any, ...]]:
        """The same, computed from what the venue has traded."""
        windows: dict[int, list[float]] = {}
        for trade in sorted(self.venue.trades, key=lambda trade: (trade.time_ms, trade.number)):
            windows.setdefault(trade.time_ms // 2_000 * 2_000, []).append(float(trade.price))
        return [
            (start, prices[0], max(prices), min(prices), prices[-1], len(prices))
            for start, prices in sorted(windows.items())
        ]

    def listed_gaps(self, *options: str) -> list[dict[str, Any]]:
        """What `mdp gaps` says; `persist` has to have run."""
        before = len(self.said())
        code, _ = self.deployment.mdp("gaps", "--format", "json", *options)
        assert code == 0
        listed: list[dict[str, Any]] = json.loads(self.said()[before:])
        return listed
