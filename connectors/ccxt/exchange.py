"""An exchange of ccxt as the connector uses it: with exact times, by gateways, and with errors of connectors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any, Final

import ccxt.async_support
import ccxt.pro

from connectors.ccxt.venues import Venue
from connectors.connector import ConnectorError, Disconnected
from contracts.errors import first_line
from contracts.suggestions import did_you_mean

_CLOSE_SECONDS: Final = 5.0  # a connection that is lost may never be closed
CACHED_TRADES: Final = 100_000  # of a symbol, between two looks; ccxt forgets the oldest of more

_USELESS: Final = (  # to try again
    ccxt.BadSymbol,
    ccxt.AuthenticationError,
    ccxt.NotSupported,
    ccxt.ArgumentsRequired,
)

Gateway = tuple[str, str]  # what a URL begins with, and what it is to begin with instead


def check_venue(name: str) -> None:
    """Raises ConnectorError: ccxt knows no such exchange."""
    if name not in ccxt.exchanges:
        raise ConnectorError(f"ccxt knows no exchange {name[:100]!r}{did_you_mean(name, ccxt.exchanges)}")


def gateways(urls: Sequence[str]) -> tuple[Gateway, ...]:
    """Out of the option `urls`.

    Raises:
        ConnectorError: one is not written as it should be.
    """
    found = []
    for text in urls:
        begin, separator, instead = text.partition("=")
        if not (begin and separator and instead):
            raise ConnectorError(f"urls: {text[:100]!r}: write what URLs begin with, =, and what to put there")
        found.append((begin, instead))
    return tuple(found)


@asynccontextmanager
async def exchange(name: str, venue: Venue, urls: Sequence[Gateway]) -> AsyncIterator[Any]:
    """An exchange that is closed in the end.

    Raises:
        Disconnected: it does not answer.
        ConnectorError: another attempt would not help.
    """
    kind = getattr(ccxt.pro, name, None) or getattr(ccxt.async_support, name)
    made = type(name, (_Adapted, kind), {"gateways": tuple(urls)})(
        {
            "enableRateLimit": True,
            "newUpdates": True,
            "aiohttp_trust_env": True,
            "options": {**venue.options, "tradesLimit": CACHED_TRADES},
        }
    )
    try:
        with translated(name):
            yield made
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await made.close()


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors of ccxt as those of connectors."""
    try:
        yield
    except _USELESS as error:
        raise ConnectorError(f"{name}: {first_line(error)}") from error
    except ccxt.BaseError as error:
        raise Disconnected(f"{type(error).__name__}: {first_line(error)}") from error


async def readable(answer: Awaitable[Any]) -> Any:
    """What ccxt has read.

    Raises:
        Disconnected: it came upon what it cannot read, such as an error in a form that it does not know.
    """
    try:
        return await answer
    except (ccxt.BaseError, Disconnected):
        raise
    except Exception as error:  # of ccxt's parsers: any
        raise Disconnected(f"ccxt cannot read it: {type(error).__name__}: {first_line(error)}") from error


def _rejecting(client: Any) -> Callable[[Any], None]:
    """Has what waits for a websocket fail where a message of it cannot be handled: ccxt reads no further, and waits."""
    handle = client.handle_message

    def handle_or_reject(message: Any) -> None:
        try:
            handle(message)
        except Exception as error:  # of ccxt's parsers: any
            client.reject(error)

    return handle_or_reject


class _Adapted:
    """What is different from ccxt in all exchanges."""

    gateways: tuple[Gateway, ...] = ()

    def client(self, url: str) -> Any:
        """The websocket of a URL."""
        client = super().client(self._by_gateway(url))  # type: ignore[misc]
        if "handle_message" not in vars(client):
            client.handle_message = _rejecting(client)
        return client

    async def fetch(self, url: str, *rest: Any, **others: Any) -> Any:
        """An answer of the REST API."""
        return await super().fetch(self._by_gateway(url), *rest, **others)  # type: ignore[misc]

    async def authenticate(self, *given: Any, **others: Any) -> Any:
        """Logs in, with an account: ccxt wants one for some channels that are open to all."""
        if self.check_required_credentials(False):  # type: ignore[attr-defined]
            return await super().authenticate(*given, **others)  # type: ignore[misc]
        return None

    def _by_gateway(self, url: str) -> str:
        for begin, instead in self.gateways:
            if url.startswith(begin):
                return instead + url.removeprefix(begin)
        return url

    @staticmethod
    def safe_integer_product(dictionary: Any, key: Any, factor: Any, default_value: Any = None) -> Any:
        """A number times a factor, cut off; ccxt multiplies floats, so that some times are a millisecond early."""
        try:
            return int(Decimal(str(dictionary[key])) * Decimal(str(factor)))
        except (LookupError, TypeError, ValueError, ArithmeticError):
            return default_value

    @staticmethod
    def safe_timestamp(dictionary: Any, key: Any, default_value: Any = None) -> Any:
        """Seconds to milliseconds."""
        return _Adapted.safe_integer_product(dictionary, key, 1_000, default_value)
