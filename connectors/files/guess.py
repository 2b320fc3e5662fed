"""Proposes the map of a file, by the names of its columns and by what is in its first rows.

docs/files.md states the rules. What a file does not say, such as the symbol in a file of one symbol, is taken from its
name, or left to be filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from connectors.files.errors import FileError
from connectors.files.first_rows import FirstRows, first_rows
from connectors.files.guess_values import OHLC, interval_of, roles_of_values, side_of, time_of
from connectors.files.opening import Opened, opened

# By role, the names of its column in small letters, of letters and digits alone; the first that a file has counts.
NAMES: Final[Mapping[str, str]] = {
    "time": "tsevent eventtime transacttime timestamp datetime time date ts opentime t",
    "symbol": "symbol ticker sym instrument pair productid product market s",
    "price": "price px tradeprice lastprice rate last p",
    "size": "size qty quantity amount volume vol sz q v",
    "side": "side aggressorside takerside aggressor isbuyermaker buyermaker direction m",
    "sequence": "sequence seq sequencenumber tradeid aggtradeid id tid",
    "bid": "bid bidprice bidpx bidpx00 bestbid bestbidprice b",
    "ask": "ask askprice askpx askpx00 bestask bestaskprice offer a",
    "bid_size": "bidsize bidqty bidsz bidsz00 bestbidqty bestbidsize bidvolume",
    "ask_size": "asksize askqty asksz asksz00 bestaskqty bestasksize askvolume",
    "open": "open o",
    "high": "high h",
    "low": "low l",
    "close": "close c",
    "volume": "volume vol v",
}
_TICKS: Final = ("symbol", "time", "price", "size", "side", "sequence")
_QUOTES: Final = ("symbol", "time", "bid", "ask", "bid_size", "ask_size", "sequence")
_BARS: Final = ("symbol", "time", *OHLC, "volume")
_WORDS: Final = ("trades", "trade", "ticks", "tick", "quotes", "bars", "data", "dump", "export", "history", "events")
_FIRST_WORD: Final = r"([A-Za-z][A-Za-z0-9]*)[-_.][^/]*$"
_UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class Guess:
    """A proposed map.

    Attributes:
        head: its keys but for the columns, as YAML has them.
        columns: the fields, and where the values of each come from.
        remarks: what to look at before it is used.
    """

    head: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def entry(self) -> dict[str, Any]:
        """The map, as `parse_map` takes it."""
        return {**self.head, "columns": self.columns}

    @property
    def text(self) -> str:
        """The map as YAML, a line for each field."""
        head = [f"{name}: {_yaml(value)}" for name, value in self.head.items()]
        return "\n".join([*head, "columns:", *(f"  {name}: {_yaml(one)}" for name, one in self.columns.items())]) + "\n"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1_000).removesuffix("...\n").strip()


def guess(path: Path) -> Guess:
    """Proposes the map of a file.

    Raises:
        FileError: it cannot be read, or none of its columns holds times.
    """
    file = opened(path)[0]
    first = first_rows(file)
    roles = _by_name(first.rows.columns) if first.has_names else roles_of_values(first.rows)
    found, wanted = _begun(file, first, roles)
    found.columns |= {"provider": {"value": "files"}, "symbol": _symbol(file, roles, found)}
    found.columns["time"] = _time(file, first, roles, found)
    for role in wanted[2:]:
        if role in roles:
            found.columns[role] = _column(roles[role], first)
    if "side" in found.columns:
        _translate_side(first, roles["side"], found)
    if wanted is _BARS:
        _add_interval(file, first, found)
    _complete(found, wanted)
    return found


def _by_name(columns: list[str]) -> dict[str, str]:
    """The roles of columns whose names are known."""
    plain = {re.sub(r"[^a-z0-9]", "", column.casefold()): column for column in reversed(columns)}
    names = {
        role: next((plain[name] for name in words.split() if name in plain), None) for role, words in NAMES.items()
    }
    found = {role: column for role, column in names.items() if column is not None}
    if found.get("volume") == found.get("size") and not all(role in found for role in OHLC):
        found.pop("volume", None)
    return found


def _begun(file: Opened, first: FirstRows, roles: Mapping[str, str]) -> tuple[Guess, tuple[str, ...]]:
    found = Guess()
    wanted = _BARS if all(role in roles for role in OHLC) else _QUOTES if {"bid", "ask"} <= roles.keys() else _TICKS
    if wanted is _QUOTES:
        found.head["type"] = "quotes/v2"
    if first.delimiter is not None:
        found.head["delimiter"] = first.delimiter
    if file.kind in ("csv", "tsv") and not first.has_names:
        found.head["header"] = False
    return found, wanted


def _column(name: str, first: FirstRows) -> Any:
    return name if first.has_names else int(name)


def _symbol(file: Opened, roles: Mapping[str, str], found: Guess) -> Any:
    """Its column, or the first word in the name of the file."""
    if "symbol" in roles:
        return roles["symbol"] if not roles["symbol"].isdigit() else int(roles["symbol"])
    word = re.search(_FIRST_WORD, file.name)
    if word is not None and word[1].casefold() not in _WORDS:
        found.remarks.append(f"symbol is the first word of the file's name, {word[1]}")
        return {"file": _FIRST_WORD}
    found.remarks.append("symbol is not in the file, nor in its name: write it in place of unknown")
    return {"value": _UNKNOWN}


def _time(file: Opened, first: FirstRows, roles: Mapping[str, str], found: Guess) -> Any:
    names = [roles["time"]] if "time" in roles else first.rows.columns
    for name in names:
        read = time_of(first.rows[name])
        if read is not None:
            return _with_zone(_column(name, first), read, found)
    parts = {name.casefold(): name for name in first.rows.columns}
    if {"date", "time"} <= parts.keys():
        both = [parts["date"], parts["time"]]
        read = time_of(first.rows.select(pl.concat_str(both, separator=" ").alias("time")).to_series())
        if read is not None:
            return _with_zone(both, read, found)
    raise FileError(f"{file.name}: none of its columns holds times that are known: write its map by hand")


def _with_zone(column: Any, read: dict[str, str], found: Guess) -> Any:
    if "zone" in read:
        found.remarks.append("times have no zone, and are taken to be in UTC: name another zone if they are not")
    return {"column": column, **read} if read or isinstance(column, list) else column


def _translate_side(first: FirstRows, name: str, found: Guess) -> None:
    words = side_of(name, first.rows[name])
    if words is None:
        found.columns.pop("side")
        found.remarks.append(f"{name} looks like the side, and its words are not known: write its values")
    elif words:
        found.columns["side"] = {"column": found.columns["side"], "values": words}
        if True in words:
            found.remarks.append(f"{name} is taken to say whether the buyer was the maker, so that the seller took")


def _add_interval(file: Opened, first: FirstRows, found: Guess) -> None:
    time = found.columns["time"]
    column = time["column"] if isinstance(time, dict) else time
    names = [str(one) for one in (column if isinstance(column, list) else [column])]
    joined = first.rows.select(pl.concat_str(names, separator=" ").alias("time")).to_series()
    interval = interval_of(first.rows[names[0]] if len(names) == 1 else joined, time if isinstance(time, dict) else {})
    if interval is None:
        raise FileError(f"{file.name} holds bars, and their times do not say of which length: write its map by hand")
    found.columns["interval"] = {"value": interval}


def _complete(found: Guess, wanted: tuple[str, ...]) -> None:
    """What has to be there is."""
    needed = [role for role in wanted if role in ("price", "bid", *OHLC)]
    missing = [role for role in needed if role not in found.columns]
    if missing:
        raise FileError(f"no column looks like {' or '.join(missing)}: write the map by hand")
    size = "volume" if wanted is _BARS else "size"
    if wanted is not _QUOTES and size not in found.columns:
        found.columns[size] = {"value": 0}
        found.remarks.append(f"no column looks like {size}: it is 0")
