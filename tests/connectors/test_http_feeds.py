"""The worked manifests of HTTP APIs, on servers of this machine: paging, credentials, refusals, repeats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from connectors.connector import Connector, ConnectorError, Disconnected
from connectors.registry import find
from connectors.testkit import connector_for, play
from tests.connectors.emitted import emitted
from tests.connectors.feeds import Site
from tests.connectors.venue import Handler, Server
from tests.harness import PROJECT, until

WORKED = PROJECT / "configs" / "connectors"
ITEMS = [{"id": number, "at": f"2025-10-28T07:00:{number:02}Z"} for number in range(25)]


def worked(name: str, port: int, **more: Any) -> Callable[[], Connector]:
    """A worked manifest, for a server on this port."""
    options = {"url": f"http://127.0.0.1:{port}/api", **more.pop("options", {})}
    return lambda: connector_for(find(str(WORKED / f"{name}.yaml")), options=options, **more)


def paged(tmp_path: Path, port: int, paging: dict[str, Any], **http: Any) -> Callable[[], Connector]:
    """A feed of ITEMS with this paging."""
    tree = {
        "connector_id": "items",
        "version": "1.0.0",
        "emits": [{"event_type": "news.item", "schema_ref": "utp://schemas/news/v1"}],
        "uses": "http",
        "rate_limits": {"max_rps": 1_000, "burst": 100},
        "http": {"url": f"http://127.0.0.1:{port}/api", "every": "1h", "paging": paging, **http},
        "mapping": {
            "type": "news/v1",
            "each": "items",
            "event_time": "at",
            "fields": {"headline": {"value": "x"}, "source": {"value": "x"}, "tickers": {"value": []}},
        },
    }
    file = tmp_path / "items.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return lambda: connector_for(find(str(file)))


def api(answer: Callable[[web.Request], Any]) -> Server:
    async def handle(request: web.Request) -> web.StreamResponse:
        found = answer(request)
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    handler: Handler = handle
    return Server([web.get("/api", handler), web.get("/api/{symbol}", handler), web.post("/api", handler)])


def test_a_calendar_in_pages_by_a_cursor() -> None:
    pages = {
        "": {"releases": [release(1), release(2)], "meta": {"next": "p2"}},
        "p2": {"releases": [release(3)], "meta": {"next": None}},
    }
    asked: list[dict[str, str]] = []

    def answer(request: web.Request) -> Any:
        asked.append({**request.query, "token": request.headers["Authorization"]})
        return pages[request.query.get("cursor", "")]

    with api(answer) as server:
        calendar = worked("calendar", server.port, secrets={"CALENDAR_TOKEN": "t0ken"})
        raw = emitted(calendar, 2)
        played = play(calendar(), raw)
    assert asked == [
        {"country": "US", "limit": "100", "token": "Bearer t0ken"},
        {"country": "US", "limit": "100", "cursor": "p2", "token": "Bearer t0ken"},
    ]
    assert not played.refused
    assert [one["payload"]["importance"] for one in played.envelopes("calendar/v1")] == ["low", "medium", "high"]
    assert [one["event_id"] for one in played.all_envelopes] == ["r1", "r2", "r3"]


def release(number: int) -> dict[str, Any]:
    figures = {"actual": None, "consensus": 50.0 + number, "previous": 22}
    own = {"id": f"r{number}", "at": "2025-11-07T13:30:00Z", "title": "Payrolls", "impact": number, "currency": "USD"}
    return {**own, "figures": figures}


def test_headlines_by_time_each_query_goes_on_after_the_last_one() -> None:
    articles: list[dict[str, Any]] = [
        {"id": f"a{number}", "published": f"2025-10-28T07:0{number}:00Z", "title": "Outlook", "lang": "en"}
        | {"companies": [{"ticker": "NVDA"}], "link": "https://news.example/1"}
        for number in range(5)
    ]
    asked: list[str] = []

    def answer(request: web.Request) -> Any:
        asked.append(request.query["since"])
        return {"articles": [one for one in articles if one["published"] >= request.query["since"]][:2]}

    with api(answer) as server:
        news = worked("news", server.port, options={"since": "2025-10-28T07:01:00Z"}, secrets={"NEWS_KEY": "key"})
        played = play(news(), emitted(news, 4))
    assert asked[:4] == [f"2025-10-28T07:0{number}:00Z" for number in (1, 2, 3, 4)]
    assert {one["event_id"] for one in played.envelopes("news/v1")} == {"a1", "a2", "a3", "a4"}
    assert not played.refused


def test_gamma_levels_of_each_symbol() -> None:
    def answer(request: web.Request) -> Any:
        symbol = request.match_info["symbol"]
        levels = {"zero_gamma": 6645.0, "calls": [{"strike": 6750}], "puts": []}
        return {"underlying": symbol, "computed": 1_761_658_200, "levels": levels}

    with api(answer) as server:
        gex = worked("gex", server.port, symbols=["SPX", "NDX"])
        played = play(gex(), emitted(gex, 2))
    assert [one["payload"] for one in played.envelopes("gex/levels/v1")] == [
        {"symbol": symbol, "asof": "2025-10-28T13:30:00.000000Z", "zero_gamma": 6645.0, "call_wall": 6750.0}
        for symbol in ("SPX", "NDX")
    ]


@pytest.mark.parametrize(
    ("paging", "asked"),
    [
        ({"by": "page", "param": "page", "items": "items"}, ["1", "2", "3", "4"]),
        ({"by": "page", "param": "page", "items": "items", "most": 2}, ["1", "2"]),
        ({"by": "offset", "param": "from", "items": "items"}, ["0", "10", "20", "25"]),
    ],
)
def test_pages_by_number_and_by_offset_end_when_one_is_empty(
    tmp_path: Path, paging: dict[str, Any], asked: list[str]
) -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> Any:
        seen.append(request.query[paging["param"]])
        start = int(seen[-1]) if paging["by"] == "offset" else (int(seen[-1]) - 1) * 10
        return {"items": ITEMS[start : start + 10]}

    with api(answer) as server:
        raw = emitted(paged(tmp_path, server.port, paging), len(asked))
    assert seen == asked
    found = [item["id"] for body in raw for item in json.loads(body)["items"]]
    assert found == list(range(25))[: len(found)]


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, ConnectorError, "the source answers 401"),
        (404, ConnectorError, "the source answers 404"),
        (429, Disconnected, "the source answers 429"),
        (503, Disconnected, "the source answers 503"),
    ],
)
def test_an_answer_that_is_an_error(tmp_path: Path, status: int, kind: type[Exception], said: str) -> None:
    paging = {"by": "page", "param": "page", "items": "items"}
    with api(lambda _: web.Response(status=status)) as server, pytest.raises(kind, match=said):
        emitted(paged(tmp_path, server.port, paging), 1)


def test_an_error_after_the_first_answer_is_one_that_may_pass(tmp_path: Path) -> None:
    answers = iter([{"items": ITEMS[:10]}, web.Response(status=404)])
    paging = {"by": "page", "param": "page", "items": "items"}
    with api(lambda _: next(answers)) as server, pytest.raises(Disconnected):
        emitted(paged(tmp_path, server.port, paging), 2)


def test_a_response_without_end_is_not_read_to_the_end(tmp_path: Path) -> None:
    paging = {"by": "page", "param": "page", "items": "items"}
    with (
        api(lambda _: web.Response(body=b"x" * 10_000)) as server,
        pytest.raises(Disconnected, match="above 5,000 bytes"),
    ):
        emitted(paged(tmp_path, server.port, paging, max_response_bytes=5_000), 1)


def test_what_every_query_returns_again_is_in_kafka_once(kafka: str, tmp_path: Path) -> None:
    site = Site(kafka, tmp_path, kinds=("calendar/v1",))
    asked: list[str] = []

    def answer(request: web.Request) -> Any:
        asked.append(request.path)
        return {"releases": [release(1), release(2)], "meta": {}}

    tree = yaml.safe_load((WORKED / "calendar.yaml").read_text(encoding="utf-8"))
    tree["http"]["every"] = "100ms"
    tree["rate_limits"] = {"max_rps": 100, "burst": 10}
    (tmp_path / "calendar.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    with api(answer) as server:
        options = ("--set", f"url=http://127.0.0.1:{server.port}/api")
        running = site.start(tmp_path / "calendar.yaml", *options, secrets={"CALENDAR_TOKEN": "t0ken"})
        until(lambda: len(asked) > 10, "some queries")
        code, said = running.stop()
    assert code == 0, said
    assert [one["event_id"] for one in site.envelopes("calendar/v1")] == ["r1", "r2"]
