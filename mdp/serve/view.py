"""The parameters of a browser's request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from contracts.duration import parse_duration
from mdp.serve.directory import ORDERS
from sinks.queries.charts import ROLLUP_LENGTHS

_LONGEST_NAME: Final = 256  # of a symbol or a signal, in bytes
_MOST_FEATURES: Final = 4
_MOST_ROWS: Final = 1_000
_WHOLE: Final = re.compile(r"-?[0-9]{1,14}")  # milliseconds that a timestamp of the database can hold


class BadRequest(Exception):  # noqa: N818 - says what happened
    """An invalid request, which our page does not send."""


@dataclass(frozen=True, slots=True)
class View:
    """The requested view; an empty field means a default, or everything.

    Attributes:
        provider: of the chart, as are symbol, interval, rollup and features.
        listed: the provider whose symbols and signals are listed.
        search: a substring of their names.
        order: of the watch list, one of ORDERS.
        signal: the name of the listed signals.
    """

    provider: str = ""
    symbol: str = ""
    interval: str = ""
    rollup: str = ""
    features: tuple[str, ...] = ()
    listed: str = ""
    search: str = ""
    order: str = "name"
    signal: str = ""


def view_of(request: Request) -> View:
    """Returns the view that the parameters of a request describe.

    Raises:
        BadRequest: a parameter is invalid.
    """
    names = {name: _name(request, name) for name in ("provider", "symbol", "listed", "search", "signal")}
    features = _name(request, "features")
    return View(
        **names,
        interval=_interval(request),
        rollup=_one_of(request, "rollup", ("", *ROLLUP_LENGTHS)),
        features=tuple(dict.fromkeys(features.split(",")))[:_MOST_FEATURES] if features else (),
        order=_one_of(request, "order", ORDERS),
    )


def span_of(request: Request, most: int) -> tuple[int, int | None]:
    """Returns how many rows to read, and before which time, in Unix milliseconds.

    Raises:
        BadRequest: these are not whole numbers.
    """
    before, limit = (request.query_params.get(name) for name in ("before", "limit"))
    if not all(text is None or _WHOLE.fullmatch(text) for text in (before, limit)):
        raise BadRequest("before and limit must be whole numbers")
    rows = int(limit) if limit is not None else most
    return max(1, min(rows, _MOST_ROWS)), int(before) if before is not None else None


def _name(request: Request, parameter: str) -> str:
    text = request.query_params.get(parameter, "")
    if "\0" in text or len(text.encode(errors="replace")) > _LONGEST_NAME:
        raise BadRequest(f"{parameter}: at most {_LONGEST_NAME} bytes without NUL")
    return text


def _interval(request: Request) -> str:
    text = _name(request, "interval")
    if text:
        try:
            parse_duration(text)
        except ValueError as error:
            raise BadRequest(f"interval: {error}") from None
    return text


def _one_of(request: Request, parameter: str, allowed: tuple[str, ...]) -> str:
    """The value of a parameter; the first allowed one by default."""
    text = request.query_params.get(parameter, allowed[0])
    if text not in allowed:
        raise BadRequest(f"{parameter}: one of {', '.join(filter(None, allowed))}")
    return text
