"""What browsers are told, and what of it waits for those who are slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mdp.serve.client import LISTED, Client
from mdp.serve.directory import Directory, Feed
from mdp.serve.hub import Hub, Look, TooManyClients
from sinks.queries.live import Bar, Series, Signal

FEED = Feed("feed", "1s")
SPY = Series("feed", "SPY", "1s")
Join = Callable[[Hub, Client], Client]
DIRECTORY = Directory([Series("feed", name, "1s") for name in ("AAPL", "SPY", "spyder", "XSPY")])


def bar(second: int, close: float = 1.0, revision: int = 0) -> Bar:
    return Bar(second * 1000, 1.0, 2.0, 0.5, close, 10.0, None, 3, revision)


def look(*bars: Bar, signals: tuple[Signal, ...] = ()) -> Look:
    return Look({SPY: bars}, {SPY: signals}, {SPY: [one.close for one in bars]})


def told(client: Client) -> dict[str, Any]:
    return dict(asyncio.run(client.mailbox.take(0.01)))


@pytest.fixture
def join() -> Iterator[Join]:
    """Lets a browser take part until the test ends."""
    with ExitStack() as stay:

        def joined(hub: Hub, client: Client) -> Client:
            stay.enter_context(hub.joined_by(client))
            hub.set_directory(DIRECTORY)
            hub.asked()
            return client

        yield joined


def test_a_browser_is_told_everything_once_and_then_what_has_changed(join: Join) -> None:
    hub = Hub()
    client = join(hub, Client(FEED, "SPY", ""))
    up = Signal("feed", "SPY", "1s", 2000, "up", "rules", 1.0, 0.5, None)
    hub.deliver(look(bar(0), bar(1)))
    first = told(client)
    assert first["chart"] == {"provider": "feed", "symbol": "SPY", "interval": "1s", "window": 1000}
    assert first["bars"] == [bar(0), bar(1)]
    assert first["lines"] == [["SPY", [1.0, 1.0]]]
    assert first["feeds"] == [["feed", "1s", 4]]
    hub.deliver(look(bar(0), bar(1)))
    assert told(client) == {}
    hub.deliver(look(bar(0, revision=1), bar(1), bar(2, 3.0), signals=(up,)))
    assert told(client) == {
        "bars": [bar(0, revision=1), bar(2, 3.0)],
        "signals": [up],
        "lines": [["SPY", [1.0, 1.0, 3.0]]],
    }


def test_who_comes_later_is_told_everything_too(join: Join) -> None:
    hub = Hub()
    early = join(hub, Client(FEED, "SPY", ""))
    hub.tell("figures", {"rate": 1.0})
    hub.deliver(look(bar(0)))
    late = join(hub, Client(FEED, "SPY", ""))
    hub.deliver(look(bar(0)))
    assert told(late) == told(early)


def test_a_slow_browser_is_told_the_newest_only(join: Join) -> None:
    hub = Hub()
    client = join(hub, Client(FEED, "SPY", ""))
    for revision in range(1_000):
        hub.deliver(look(bar(0, revision=revision), bar(1)))
        hub.tell("figures", {"rate": revision})
    news = told(client)
    assert news["bars"] == [bar(0, revision=999), bar(1)]
    assert news["figures"] == {"rate": 999}


def test_bars_that_do_not_follow_those_told_begin_the_chart_anew(join: Join) -> None:
    """More was written between two looks than is read at a time, as when a flow catches up."""
    hub = Hub()
    client = join(hub, Client(FEED, "SPY", ""))
    hub.deliver(look(bar(0), bar(1)))
    told(client)
    hub.deliver(look(bar(1), bar(2)))
    hub.deliver(look(bar(500), bar(501)))
    news = told(client)
    assert news["chart"]["symbol"] == "SPY"
    assert news["bars"] == [bar(500), bar(501)]


def test_a_browser_that_does_not_read_at_all_is_let_go_of(join: Join) -> None:
    hub = Hub()
    client = join(hub, Client(FEED, "SPY", ""))
    for second in range(0, 10_000, 50):
        hub.deliver(look(*(bar(second + number) for number in range(100))))
    assert client.mailbox.closed
    assert told(client) == {}


def test_who_has_not_chosen_gets_the_first_symbol_as_soon_as_there_is_one() -> None:
    hub, client = Hub(), Client(None, None, "")
    with hub.joined_by(client):
        assert hub.asked().charts == ()
        hub.set_directory(DIRECTORY)
        assert hub.asked().charts == (Series("feed", "AAPL", "1s"),)


def test_symbols_that_begin_with_the_text_come_first() -> None:
    assert DIRECTORY.search(FEED, "SPY") == ["SPY", "spyder", "XSPY"]
    assert DIRECTORY.search(FEED, "a") == ["AAPL"]
    assert DIRECTORY.search(Feed("other", "1s"), "") == []


def test_only_as_many_series_are_read_as_are_listed() -> None:
    hub = Hub()
    with hub.joined_by(client := Client(FEED, None, "S")):
        hub.set_directory(Directory([Series("feed", f"S{number:04}", "1s") for number in range(5_000)]))
        assert len(hub.asked().listed) == LISTED
        assert told(client)["order"]["found"] == 5_000


def test_when_the_server_ends_so_do_the_streams() -> None:
    hub, client, late = Hub(), Client(FEED, "SPY", ""), Client(FEED, "SPY", "")
    with hub.joined_by(client):
        hub.close()
        assert client.mailbox.closed
        with hub.joined_by(late):
            assert late.mailbox.closed
    assert hub.is_empty


def test_there_is_a_bound_to_the_number_of_browsers(join: Join) -> None:
    hub = Hub()
    for _ in range(200):
        hub.check_room()
        join(hub, Client(None, None, ""))
    with pytest.raises(TooManyClients):
        hub.check_room()
