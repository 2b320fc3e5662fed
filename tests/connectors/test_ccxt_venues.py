"""Venues through ccxt: whatever their connections do, each trade arrives, once, or a gap says that it may not have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.connectors.venues.binance_venue import Binance
from tests.connectors.venues.bybit_venue import Bybit
from tests.connectors.venues.coinbase_venue import Coinbase
from tests.connectors.venues.connector_site import ConnectorSite
from tests.connectors.venues.kraken_venue import Kraken
from tests.connectors.venues.okx_venue import Okx
from tests.connectors.venues.venue_server import Dialect, VenueServer
from tests.harness import Deployments, until

VENUES = (Kraken, *(pytest.param(one, marks=pytest.mark.slow) for one in (Binance, Coinbase, Bybit, Okx)))
Open = Callable[[Dialect], ConnectorSite]


@pytest.fixture
def site(deploy: Deployments) -> Iterator[Open]:
    servers: list[VenueServer] = []

    def make(dialect: Dialect) -> ConnectorSite:
        begin_us = (time.time_ns() // 1_000_000_000 - 60) * 1_000_000
        servers.append(VenueServer(dialect, begin_us))
        return ConnectorSite(deploy, servers[-1].__enter__())

    yield make
    for server in servers:
        server.__exit__()


def again(venue: VenueServer, *, lost: int) -> None:
    """The connection is lost, trades go on, and the connector comes back."""
    before = venue.subscriptions
    venue.disconnect()
    venue.lose(lost)
    venue.await_listener(before)


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_each_trade_is_stored_once_whatever_the_connection_does(site: Open, venue: type[Dialect]) -> None:
    one = site(venue())
    server, process = one.venue, one.start()
    server.await_listener()
    server.trade(20)
    server.repeat(5)
    server.trade_swapped()
    server.trade(3)
    again(server, lost=7)
    server.trade(5)
    if server.dialect.number_in_ids:
        server.lose(4)  # nothing tells of them but the numbers
        server.trade(3)
    server.fail()
    again(server, lost=1)
    server.trade(2)
    server.garble()
    again(server, lost=0)
    server.trade(4)
    one.complete()
    one.stop(process)
    assert one.stored_trades() == one.played()
    assert one.bars() == one.expected_bars()
    assert all(gap["filled"] for gap in one.listed_gaps())
    assert {gap["reason"] for gap in one.listed_gaps()} >= {"reconnect"}
    assert one.listed_gaps("--open") == []


@pytest.mark.slow
def test_a_silent_connection_is_made_again_and_what_it_kept_back_is_got(site: Open) -> None:
    one = site(Binance())
    process = one.start()
    one.venue.await_listener()
    one.venue.trade(5)
    before, one.venue.is_mute = one.venue.subscriptions, True
    one.venue.trade(6)
    one.venue.await_listener(before)
    one.venue.is_mute = False
    one.venue.trade(1)
    one.complete()
    one.stop(process)
    assert one.stored_trades() == one.played()


def test_what_a_venue_does_not_send_again_is_a_gap_that_stays(site: Open) -> None:
    one = site(Bybit())
    process = one.start()
    one.venue.await_listener()
    one.venue.trade(5)
    again(one.venue, lost=Bybit.most_again + 40)
    one.venue.trade(2)
    until(lambda: bool(one.gap_states()) and one.is_settled(), "a gap that stays")
    one.stop(process)
    stored = one.stored_trades()
    assert len(stored) == len(set(stored)) == 5 + Bybit.most_again
    (gap,) = one.listed_gaps("--open", "--symbol", "BTC/USDT")
    assert (gap["reason"], gap["stream"], gap["filled"]) == ("reconnect", "trades.tick", False)
    assert "sends nothing again from before" in gap["detail"]


@pytest.mark.slow
@pytest.mark.parametrize("venue", [Kraken, Bybit], ids=lambda venue: venue.name)
def test_killed_connectors_lose_nothing_that_the_venue_still_has_and_repeat_nothing(
    site: Open, venue: type[Dialect]
) -> None:
    one = site(venue())
    for number in range(4):
        before = one.venue.subscriptions
        process = one.start()
        one.venue.await_listener(before)
        one.venue.trade(4 + number)
        if number == 0:  # from then on, the connector knows what it has
            until(one.has_position, "a position")
        elif number % 2:
            one.complete()
        one.kill(process)
        one.venue.lose(5)
    before = one.venue.subscriptions
    process = one.start()
    one.venue.await_listener(before)
    one.venue.trade(2)
    one.complete()
    one.stop(process)
    assert one.stored_trades() == one.played()
    assert "restart" in {gap["reason"] for gap in one.listed_gaps()}
