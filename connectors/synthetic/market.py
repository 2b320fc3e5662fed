"""A synthetic market: prices on a random walk, and optionally the faults of real feeds, each accounted for."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.synthetic.malformed import MALFORMED, break_events
from contracts.ids import joined_id
from contracts.timestamps import format_timestamps
from transports.outgoing import DUPLICATE, GOOD, OUTGOING, outgoing, with_disorder

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

_CHUNK_ROWS: Final = 50_000
_DAY_SECONDS: Final = 86_400
_MICROSECOND: Final = 1_000
_PRICE_BOUNDS: Final = (1e-3, 1e9)

_TICKERS: Final = {
    "SPY": 670.0, "AAPL": 270.0, "MSFT": 510.0, "NVDA": 190.0, "AMZN": 230.0, "GOOGL": 280.0, "META": 620.0,
    "TSLA": 430.0, "JPM": 310.0, "V": 340.0, "XOM": 117.0, "UNH": 320.0, "JNJ": 188.0, "WMT": 102.0, "PG": 147.0,
    "MA": 550.0, "HD": 375.0, "KO": 70.0, "DIS": 110.0, "QQQ": 610.0,
}  # fmt: skip

_Probability = Annotated[float, Field(ge=0, le=1)]
# Printable ASCII, short enough that two of them, escaped, with a time and a number fit an event_id of 256 bytes.
_Name = Annotated[str, Field(pattern=r"^[ -~]{1,48}$")]


class SyntheticConfig(BaseModel):
    """The symbols and prices of the synthetic market, and the faults of its feed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: _Name = Field(
        default="synthetic", description="Provider of the events: 1 to 48 printable ASCII characters."
    )
    symbols: Annotated[int, Field(ge=1, le=100_000)] | Annotated[tuple[_Name, ...], Field(min_length=1)] = Field(
        default=("SPY", "AAPL", "MSFT"), description="How many symbols, or which, by name."
    )
    tick_rate: float = Field(default=1.0, gt=0, le=1e6, description="Events per second and symbol.")
    price_volatility: float = Field(default=0.02, ge=0, le=10, description="Standard deviation of a day's log return.")
    seed: int = Field(default=0, ge=0, description="Another seed is another market.")
    duplicates: _Probability = Field(default=0.0, description="Probability that an event is sent twice.")
    out_of_order: _Probability = Field(default=0.0, description="Probability that an event is delayed.")
    max_delay_ms: int = Field(default=400, ge=1, le=3_600_000, description="Longest delay of an event or a duplicate.")
    malformed: _Probability = Field(default=0.0, description="Probability of a broken record after an event.")

    @model_validator(mode="after")
    def _symbols_are_distinct(self) -> SyntheticConfig:
        if not isinstance(self.symbols, int) and len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols names a symbol twice")
        return self

    def names(self) -> list[str]:
        """The symbols; for a number, well-known tickers first, then made-up ones."""
        if not isinstance(self.symbols, int):
            return list(self.symbols)
        made_up = ("".join(letters) for letters in itertools.product(string.ascii_uppercase, repeat=4))
        names = itertools.chain(_TICKERS, (name for name in made_up if name not in _TICKERS))
        return list(itertools.islice(names, self.symbols))


class SyntheticMarket:
    """Ticks of all symbols in turn, evenly spaced in time, as OUTGOING frames.

    Prices follow geometric Brownian motion without drift, at `price_volatility` per square root of a day. The same
    config, start and rate always give the same rows, and a smaller count gives a prefix of them.

    Args:
        config: what to trade.
        start: time of the first event in nanoseconds, kept to the microsecond.
        rate: events per second of all symbols together; `tick_rate` of each of them by default.
        prices: initial prices of symbols that do not begin at their default price.
    """

    def __init__(
        self,
        config: SyntheticConfig,
        start: int,
        rate: float | None = None,
        prices: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._config = config
        self._start = start
        names = config.names()
        self._symbols = pl.Series("symbol", names)
        self._rate = rate if rate is not None else config.tick_rate * len(names)
        self._rounds = max(1, _CHUNK_ROWS // len(names))
        self._deviation = config.price_volatility * np.sqrt(len(names) / self._rate / _DAY_SECONDS)
        made_up = np.random.default_rng(config.seed).lognormal(4.0, 1.0, len(names))
        usual = {**dict(zip(names, made_up.tolist(), strict=True)), **_TICKERS, **prices}
        opening = np.clip([usual[name] for name in names], *_PRICE_BOUNDS)
        self._opening = np.log(opening)

    @property
    def rate(self) -> float:
        """Events per second of all symbols together, without those added by faults."""
        return self._rate

    def chunks(self, count: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield rows in order of `arrival`: `count` events (endless without it), and those added by faults."""
        log_prices = self._opening
        newest: int | None = None
        held = pl.DataFrame(schema=OUTGOING)
        size = self._rounds * len(self._symbols)
        for block in itertools.count():
            first = block * size
            rng = np.random.default_rng([self._config.seed, block])
            walk = log_prices + np.cumsum(rng.normal(0.0, self._deviation, (self._rounds, len(self._symbols))), axis=0)
            log_prices = np.clip(walk[-1], *np.log(_PRICE_BOUNDS))
            rows = self._with_faults(self._events(first, walk, rng), rng, size if count is None else count - first)
            is_last = count is not None and first + size >= count
            # Rows that arrive after the next block begins must wait for the events of that block.
            end = 2**63 - 1 if is_last else int(self._times(np.array([first + size]))[0])
            ordered = pl.concat([held, rows]).sort("arrival", maintain_order=True)
            held = ordered.filter(pl.col("arrival") >= end)
            chunk, newest = with_disorder(ordered.filter(pl.col("arrival") < end), newest)
            yield chunk
            if is_last:
                return

    def _times(self, indices: _Ints) -> _Ints:
        """Times of the events with these indices, whole microseconds."""
        times = self._start + (indices * (1e9 / self._rate)).astype(np.int64)
        return times // _MICROSECOND * _MICROSECOND

    def _events(self, first: int, walk: _Floats, rng: np.random.Generator) -> pl.DataFrame:
        """One block of events; row r, column s of `walk` is the log price of symbol s in round r."""
        rounds, symbols = walk.shape
        times = pl.Series(self._times(first + np.arange(walk.size)))
        events = pl.DataFrame(
            {
                "symbol": self._symbols.gather(np.tile(np.arange(symbols), rounds)),
                "src_ts": times,
                "c": np.round(np.exp(np.clip(walk.ravel(), *np.log(_PRICE_BOUNDS))), 4),
                "v": np.ceil(rng.lognormal(4.0, 1.0, walk.size)),
                "seq": np.repeat(first // symbols + np.arange(rounds), symbols),
                "time": format_timestamps(times),
            }
        ).with_columns(provider=pl.lit(self._config.provider), kind=pl.lit("tick"))
        parts = [pl.col("provider"), pl.col("symbol"), pl.col("time"), pl.col("seq").cast(pl.String)]
        return events.with_columns(event_id=joined_id(parts), arrival="src_ts").drop("time")

    def _with_faults(self, events: pl.DataFrame, rng: np.random.Generator, count: int) -> pl.DataFrame:
        """The first `count` events with the configured delays, duplicates and malformed records: OUTGOING rows.

        Every draw is made for the whole block, so that a count within the block does not change the rows before.
        """
        config, size = self._config, events.height
        longest = config.max_delay_ms * 1_000_000
        delay = np.where(rng.random(size) < config.out_of_order, rng.integers(1, longest, size, endpoint=True), 0)
        # A duplicate stays within the longest delay, including its own.
        again = delay + (rng.random(size) * (longest - delay)).astype(np.int64)
        repeated = (rng.random(size) < config.duplicates) & (np.arange(size) < count)
        broken = (rng.random(size) < config.malformed) & (np.arange(size) < count)
        how = pl.Series(list(MALFORMED)).gather(rng.integers(0, len(MALFORMED), size))
        sent = outgoing(events.with_columns(arrival=pl.col("src_ts") + delay), GOOD)
        copies = outgoing(events.with_columns(arrival=pl.col("src_ts") + again).filter(repeated), DUPLICATE)
        parts = [sent.head(max(count, 0)), copies]
        if broken.any():
            records = break_events(events.drop("arrival").filter(broken), how.filter(broken))
            parts.append(
                outgoing(records, "").with_columns(label=records["label"], arrival=sent["arrival"].filter(broken))
            )
        return pl.concat(parts)
