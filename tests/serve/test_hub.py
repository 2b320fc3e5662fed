"""What browsers are told, and what of it waits for those who are slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mdp.serve.client import LISTED, RECENT, Client
from mdp.serve.directory import Directory
from mdp.serve.hub import Hub, Look, TooManyClients
from mdp.serve.market import Quote
from mdp.serve.view import View
from sinks.queries.charts import Chart, ChartRows, Mark
from sinks.queries.live import Bar, Series, Signal

SPY = Series("feed", "SPY", "1s")
CHART = Chart(SPY)
SEEN = View("feed", "SPY", "1s", listed="feed")
Join = Callable[[Hub, Client], Client]
NAMES = ("AAPL", "SPY", "spyder", "XSPY")
DIRECTORY = Directory([Series("feed", name, "1s") for name in NAMES], {SPY: Quote(4.0, 5.0, 7.0)}, ["rsi"])


def bar(second: int, close: float = 1.0, revision: int = 0) -> Bar:
    return Bar(second * 1000, 1.0, 2.0, 0.5, close, 10.0, None, 3, revision)


def look(*bars: Bar, marks: tuple[Mark, ...] = (), chart: Chart = CHART) -> Look:
    return Look({chart: ChartRows(bars, marks)}, {SPY: [one.close for one in bars]})


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
    client = join(hub, Client(SEEN))
    up = Mark(1000, "up", "rules", 1, 1)
    hub.deliver(look(bar(0), bar(1)))
    first = told(client)
    named = {"provider": "feed", "symbol": "SPY", "interval": "1s", "rollup": "", "features": ()}
    assert first["chart"] == {**named, "window": 1000}
    assert first["bars"] == [bar(0), bar(1)]
    assert first["lines"] == [("feed", "SPY", [1.0, 1.0])]
    assert first["providers"] == [("feed", 4)]
    assert ("feed", "SPY", 4.0, 7.0) in first["quotes"]
    assert first["lengths"] == [("1s", ""), ("1s", "1m"), ("1s", "5m"), ("1s", "1h")]
    hub.deliver(look(bar(0), bar(1)))
    assert told(client) == {}
    hub.deliver(look(bar(0, revision=1), bar(1), bar(2, 3.0), marks=(up,)))
    assert told(client) == {
        "bars": [bar(0, revision=1), bar(2, 3.0)],
        "marks": [up],
        "lines": [("feed", "SPY", [1.0, 1.0, 3.0])],
    }


def test_who_comes_later_is_told_everything_too(join: Join) -> None:
    hub = Hub()
    early = join(hub, Client(SEEN))
    hub.send("figures", {"rate": 1.0})
    hub.deliver(look(bar(0)))
    late = join(hub, Client(SEEN))
    hub.deliver(look(bar(0)))
    assert told(late) == told(early)


def test_a_slow_browser_is_told_the_newest_only(join: Join) -> None:
    hub = Hub()
    client = join(hub, Client(SEEN))
    for revision in range(1_000):
        hub.deliver(look(bar(0, revision=revision), bar(1)))
        hub.send("figures", {"rate": revision})
    news = told(client)
    assert news["bars"] == [bar(0, revision=999), bar(1)]
    assert news["figures"] == {"rate": 999}


def test_bars_that_do_not_follow_those_told_begin_the_chart_anew(join: Join) -> None:
    """More was written between two looks than is read at a time, as when a flow catches up."""
    hub = Hub()
    client = join(hub, Client(SEEN))
    hub.deliver(look(bar(0), bar(1)))
    told(client)
    hub.deliver(look(bar(1), bar(2)))
    hub.deliver(look(bar(500), bar(501)))
    news = told(client)
    assert news["chart"]["symbol"] == "SPY"
    assert news["bars"] == [bar(500), bar(501)]


def test_a_browser_that_does_not_read_at_all_is_let_go_of(join: Join) -> None:
    hub = Hub()
    client = join(hub, Client(SEEN))
    for second in range(0, 10_000, 50):
        hub.deliver(look(*(bar(second + number) for number in range(100))))
    assert client.mailbox.closed
    assert told(client) == {}


def test_who_has_not_chosen_gets_the_first_symbol_as_soon_as_there_is_one() -> None:
    hub, client = Hub(), Client(View())
    with hub.joined_by(client):
        assert hub.asked().charts == ()
        hub.set_directory(DIRECTORY)
        assert hub.asked().charts == (Chart(Series("feed", "AAPL", "1s")),)


@pytest.mark.parametrize(
    ("view", "chart"),
    [
        (View(symbol="SPY"), CHART),  # wherever it is
        (View(provider="feed", interval="1s"), Chart(Series("feed", "AAPL", "1s"))),
        (View("feed", "SPY", "1s", "5m"), Chart(SPY, "5m")),
        (View("feed", "SPY", "2s", "1m"), CHART),  # of which there are none
        (View("feed", "TSLA", "1s"), Chart(Series("feed", "TSLA", "1s"))),  # may come
        (View("feed", "TSLA"), None),
        (View(symbol="TSLA"), Chart(Series("feed", "AAPL", "1s"))),
    ],
)
def test_what_is_asked_for_in_part_is_made_whole(join: Join, view: View, chart: Chart | None) -> None:
    assert join(Hub(), Client(view)).chart == chart


def test_features_that_there_are_no_columns_for_are_left_out(join: Join) -> None:
    client = join(Hub(), Client(View("feed", "SPY", "1s", "1m", ("rsi", "x; DROP TABLE bars_ohlcv"))))
    assert client.chart == Chart(SPY, "1m", ("rsi",))


def test_only_as_many_series_are_read_as_are_listed() -> None:
    hub = Hub()
    with hub.joined_by(client := Client(View(search="S"))):
        hub.set_directory(Directory([Series("feed", f"S{number:04}", "1s") for number in range(5_000)]))
        assert len(hub.asked().listed) == LISTED
        assert told(client)["order"]["found"] == 5_000


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        (View(), [("a", "up"), ("a", "down"), ("b", "up")]),
        (View(listed="b"), [("b", "up")]),
        (View(signal="up"), [("a", "up"), ("b", "up")]),
        (View(listed="b", signal="down"), []),
    ],
)
def test_signals_are_those_of_the_provider_and_of_the_name(view: View, wanted: list[tuple[str, str]]) -> None:
    signals = [
        Signal(provider, "S", "1s", 1000, name, "rules", 1.0, 0.5, None)
        for provider, name in (("a", "up"), ("a", "down"), ("b", "up"))
    ]
    hub, client = Hub(), Client(view)
    hub.set_recent(signals)
    with hub.joined_by(client):  # whoever comes later is told, too
        news = told(client)
        assert [(one.provider, one.name) for one in news["recent"]] == wanted
        assert news["names"] == ["down", "up"]
        hub.set_recent(signals * RECENT)
        assert len(told(client).get("recent", ())) == (RECENT if wanted else 0)


def test_when_the_server_ends_so_do_the_streams() -> None:
    hub, client, late = Hub(), Client(SEEN), Client(SEEN)
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
        join(hub, Client(View()))
    with pytest.raises(TooManyClients):
        hub.check_room()
