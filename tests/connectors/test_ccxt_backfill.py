"""`mdp connect backfill`: the past of a venue, whole, once, whatever interrupts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.connectors.venues.coinbase_venue import Coinbase
from tests.connectors.venues.connector_site import ConnectorSite
from tests.connectors.venues.kraken_venue import Kraken
from tests.connectors.venues.okx_venue import Okx
from tests.connectors.venues.venue_server import Dialect, VenueServer
from tests.harness import Deployments, until

Open = Callable[[Dialect], ConnectorSite]


@pytest.fixture
def site(deploy: Deployments) -> Iterator[Open]:
    """Venues that have traded for some minutes."""
    servers: list[VenueServer] = []

    def make(dialect: Dialect) -> ConnectorSite:
        begin_us = (time.time_ns() // 1_000_000_000 - 900) * 1_000_000
        servers.append(VenueServer(dialect, begin_us))
        return ConnectorSite(deploy, servers[-1].__enter__())

    yield make
    for server in servers:
        server.__exit__()


def span(one: ConnectorSite) -> tuple[str, ...]:
    return ("--from", f"{one.venue.time(0)}Z", "--to", f"{one.venue.time(-1, after_ms=1)}Z")


@pytest.mark.parametrize("venue", [Kraken, Coinbase, Okx], ids=lambda venue: venue.name)
def test_the_past_is_paged_to_its_end_and_each_trade_is_there_once(site: Open, venue: type[Dialect]) -> None:
    one = site(venue())
    one.venue.lose(1_300)
    code, said = one.deployment.mdp(*one.arguments("backfill", *span(one)))
    assert code == 0, said
    assert "1,300 messages" in said
    assert len(one.arrived()) == 1_300
    assert one.stored_trades() == one.played()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(site: Open) -> None:
    one = site(Kraken())
    one.venue.lose(3_500)
    process = one.deployment.command(*one.arguments("backfill", *span(one)))
    until(lambda: len(one.arrived()) >= 1_000 and one.has_position(), "the first pages")
    one.kill(process)
    requests = len(one.venue.requests)
    code, said = one.deployment.mdp(*one.arguments("backfill", *span(one)))
    assert code == 0, said
    assert "going on from" in said
    assert len([path for path in one.venue.requests[requests:] if "Trades" in path]) <= 4
    assert one.stored_trades() == one.played()


def test_connectors_without_a_past_say_so(site: Open) -> None:
    one = site(Kraken())
    manifest = yaml.safe_load(one.manifest.read_text())
    one.manifest.write_text(yaml.safe_dump({**manifest, "capabilities": {"backfill": False}}))
    code, said = one.deployment.mdp(*one.arguments("backfill", "--from", "now-1h", "--to", "now"))
    assert code == 2
    assert "cannot get what was sent before" in said
