"""Texts of a manifest with places for symbols, options and secrets.

    {symbol}     one symbol: what holds it is repeated for each
    {symbols}    all: a list where it stands alone, else with commas between them
    {depth}      the option of this name
    ${ACME_KEY}  the secret of this name

Places are in texts only, so that nothing in them has to be escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from connectors.connector import ConnectorError, Request
from contracts.suggestions import did_you_mean

_PLACE: Final = re.compile(r"(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SYMBOL: Final = "symbol"
_ALL: Final = "symbols"


class Template:
    """Fills texts, lists and objects in, for one request.

    Raises:
        ConnectorError: a place names neither an option nor a secret of the manifest, or asks for symbols that are not
            given.
    """

    def __init__(self, request: Request) -> None:
        self._options, self._secrets, self._symbols = request.options, request.secrets, request.symbols
        self._connector = request.manifest.connector_id

    def text(self, text: str, symbol: str | None = None) -> str:
        """One text."""
        return _PLACE.sub(lambda found: str(self._value(found, symbol)), text)

    def texts(self, texts: Mapping[str, Any], symbol: str | None = None) -> dict[str, str]:
        """The values of an object, such as headers and parameters, as texts."""
        return {
            name: self.text(value if isinstance(value, str) else _plain(value), symbol) for name, value in texts.items()
        }

    def messages(self, message: Any) -> list[Any]:
        """The messages that one stands for: one, or one for each symbol."""
        if not holds_symbol(message):
            return [self.tree(message)]
        return [self.tree(message, symbol) for symbol in self._needed_symbols()]

    def tree(self, value: Any, symbol: str | None = None) -> Any:
        """A tree of objects, lists and texts."""
        if isinstance(value, Mapping):
            return {name: self.tree(part, symbol) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [one for part in value for one in self._items(part, symbol)]
        if not isinstance(value, str):
            return value
        found = _PLACE.fullmatch(value)
        return self._value(found, symbol, alone=True) if found is not None else self.text(value, symbol)

    def _items(self, part: Any, symbol: str | None) -> list[Any]:
        """The items of a list that one stands for."""
        if symbol is None and holds_symbol(part):
            return [self.tree(part, each) for each in self._needed_symbols()]
        return [self.tree(part, symbol)]

    def _value(self, found: re.Match[str], symbol: str | None, *, alone: bool = False) -> Any:
        is_secret, name = found.groups()
        if is_secret:
            if name not in self._secrets:
                raise ConnectorError(
                    f"connector {self._connector}: ${{{name}}} is no secret of its manifest"
                    f"{did_you_mean(name, self._secrets)}",
                    "list it in requires.secrets",
                )
            return self._secrets[name]
        if name == _SYMBOL and symbol is not None:
            return symbol
        if name in (_SYMBOL, _ALL):
            symbols = self._needed_symbols()
            return list(symbols) if alone else ",".join(symbols)
        if name not in self._options:
            raise ConnectorError(
                f"connector {self._connector}: {{{name}}} is no option of its manifest"
                f"{did_you_mean(name, [*self._options, _SYMBOL, _ALL])}"
            )
        value = self._options[name]
        return value if alone else _plain(value)

    def _needed_symbols(self) -> Sequence[str]:
        if not self._symbols:
            raise ConnectorError(f"connector {self._connector} needs symbols", "name them by --symbols")
        return self._symbols


def names_symbol(value: Any) -> bool:
    """Whether `{symbol}` is anywhere in it."""
    return any("{symbol}" in text for text in _texts(value))


def names_symbols(value: Any) -> bool:
    """Whether `{symbol}` or `{symbols}` is anywhere in it."""
    return any("{symbol}" in text or "{symbols}" in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    """All texts in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def holds_symbol(value: Any) -> bool:
    """Whether `{symbol}` is in it outside of all lists, so that all of it is for one symbol."""
    if isinstance(value, Mapping):
        return any(map(holds_symbol, value.values()))
    return isinstance(value, str) and "{symbol}" in value


def _plain(value: Any) -> str:
    """A value within a text: true and false as JSON has them."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
