"""Windows, lateness, duplicates and amendments, event by event in plain Python: what the pipeline has to agree with."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from typing import Any

from contracts.frames import BUY, SELL
from features.bars.window_config import WindowConfig

Row = dict[str, Any]


@dataclass
class OracleBar:
    provider: str
    symbol: str
    window: int
    events: list[Row] = field(default_factory=list)
    revision: int = 0
    closed: bool = False

    def values(self, config: WindowConfig) -> Row:
        def place(event: Row) -> tuple[Any, ...]:
            seq = event["seq"]
            return event["src_ts"], seq is not None, seq or 0, event["offset"], event["row"]

        ordered = [without_signed_zeros(event) for event in sorted(self.events, key=place)]
        is_bar = [event["kind"] == "bar" for event in ordered]
        highs = [event["h"] if bar else event["c"] for event, bar in zip(ordered, is_bar, strict=True)]
        lows = [event["l"] if bar else event["c"] for event, bar in zip(ordered, is_bar, strict=True)]
        prices = [
            (event["h"] + event["l"] + event["c"]) / 3 if bar else event["c"]
            for event, bar in zip(ordered, is_bar, strict=True)
        ]
        volume = sum((size_as_written(event["v"]) for event in ordered), Fraction())
        turnover = sum(Fraction(price) * Fraction(event["v"]) for price, event in zip(prices, ordered, strict=True))
        sided = [event for event in ordered if event.get("side") is not None]
        return {
            "provider": self.provider,
            "symbol": self.symbol,
            "interval": config.interval,
            "window_start": self.window,
            "window_end": self.window + config.window_ns,
            "open": ordered[0]["o"] if is_bar[0] else ordered[0]["c"],
            "high": max(highs),
            "low": min(lows),
            "close": ordered[-1]["c"],
            "volume": float(volume),
            "vwap": min(max(float(turnover) / float(volume), min(lows)), max(highs)) if volume else None,
            "buy_volume": volume_of(sided, BUY),
            "sell_volume": volume_of(sided, SELL),
            "trades": len(ordered),
            "revision": self.revision,
        }


def volume_of(sided: list[Row], side: int) -> float | None:
    """Of the events on a side; None if no event tells its side."""
    sizes = [size_as_written(event["v"]) for event in sided if event["side"] == side]
    return float(sum(sizes, Fraction())) if sided else None


@dataclass
class OracleClock:
    """How far a provider has come, in windows; see `features.bars.live_series`."""

    generation: int = 0
    latest: float = -inf
    pending: float = -inf
    mark: float = -inf


def size_as_written(size: float) -> Fraction:
    """The decimal that a size was written as, if it has at most 15 digits and 22 places; else the float itself."""
    decimal = Fraction(f"{size:.15g}")
    is_decimal = float(decimal) == size and 10**22 % decimal.denominator == 0 and not size.is_integer()
    return decimal if is_decimal else Fraction(size)


def without_signed_zeros(event: Row) -> Row:
    """-0.0 equals 0.0, so it counts as 0.0: which of the two is the highest price is nobody's question."""
    return event | {name: event[name] + 0.0 for name in "ohlc" if event[name] is not None}


_OUTCOMES = ("accepted", "amending", "duplicate", "late", "heartbeat", "rejected")


class WindowOracle:
    """One partition. `take` says what became of a row; `emitted` holds all bars that left, with their causes."""

    def __init__(self, config: WindowConfig, span_ns: int = 0) -> None:
        self.config = config
        self.retained = max(span_ns // config.window_ns, 1) + config.amend_ns // config.window_ns
        self.newest: dict[str, int] = {}
        self.providers: set[str] = set()
        self.clocks: dict[str, OracleClock] = {}
        self.generations: dict[tuple[str, str], int] = {}  # of the last event of each series
        self.bars: dict[tuple[str, str, int], OracleBar] = {}
        self.seen: set[tuple[str, str, int, str]] = set()
        self.outcomes: dict[str, int] = dict.fromkeys(_OUTCOMES, 0)
        self.emitted: list[Row] = []

    def take(self, row: Row) -> str:
        outcome = self._take(row)
        self.outcomes[outcome] += 1
        return outcome

    def _take(self, row: Row) -> str:
        provider, config = row["provider"], self.config
        if provider not in self.providers and len(self.providers) == config.max_providers:
            return "rejected"
        self.providers.add(provider)
        if row["kind"] == "heartbeat":
            self._advance(row)
            return "heartbeat"
        window = row["src_ts"] // config.window_ns * config.window_ns
        end = window + config.window_ns
        watermark = max(self.newest.get(provider, row["src_ts"]), row["src_ts"]) - config.allow_late_ns
        key = (provider, row["symbol"], window)
        if watermark - end > config.amend_ns:
            return "late"
        if (*key, row["event_id"]) in self.seen:
            return "duplicate"
        if not self._has_room(provider, row["symbol"], window // config.window_ns):
            return "rejected"
        self.seen.add((*key, row["event_id"]))
        if end <= watermark:
            bar = self.bars.setdefault(key, OracleBar(*key, closed=True))
            bar.events.append(row)
            bar.revision += 1
            self._emit(bar, row)
            return "amending"
        self._advance(row)
        self.bars.setdefault(key, OracleBar(*key)).events.append(row)
        return "accepted"

    def live(self) -> set[tuple[str, str]]:
        """The series that count against the limit."""
        return {
            series
            for series, generation in self.generations.items()
            if self.clocks[series[0]].generation - generation <= 1
        }

    def _has_room(self, provider: str, symbol: str, window: int) -> bool:
        """Whether an event's series is live, or may become it; notes the event if so."""
        config, clock = self.config, self.clocks.setdefault(provider, OracleClock())
        watermark = self.newest.get(provider, -inf) - config.allow_late_ns
        follows = window > clock.pending and (clock.pending + 1) * config.window_ns <= watermark
        if follows and clock.pending - clock.mark >= self.retained:
            clock.generation += 1
            clock.mark = clock.latest
        live = self.live()
        is_full = len(live) >= config.max_symbols and window - clock.latest < self.retained
        if (provider, symbol) not in live and is_full:
            return False
        self.generations[provider, symbol] = clock.generation
        clock.latest = max(clock.latest, window)
        if follows:
            clock.pending = window
        return True

    def _advance(self, row: Row) -> None:
        provider = row["provider"]
        self.newest[provider] = max(self.newest.get(provider, row["src_ts"]), row["src_ts"])
        watermark = self.newest[provider] - self.config.allow_late_ns
        self._close(
            [b for b in self._open() if b.provider == provider and b.window + self.config.window_ns <= watermark], row
        )

    def _open(self) -> list[OracleBar]:
        return [bar for bar in self.bars.values() if not bar.closed]

    def _close(self, bars: list[OracleBar], cause: Row) -> None:
        for bar in sorted(bars, key=lambda bar: (bar.window, bar.provider, bar.symbol)):
            bar.closed = True
            self._emit(bar, cause)

    def _emit(self, bar: OracleBar, cause: Row) -> None:
        self.emitted.append({**bar.values(self.config), "offset": cause["offset"], "row": cause["row"]})

    def still_open(self, cause: Row) -> list[Row]:
        """The bars that a bounded run emits at its end."""
        ordered = sorted(self._open(), key=lambda bar: (bar.window, bar.provider, bar.symbol))
        return [{**bar.values(self.config), "offset": cause["offset"], "row": cause["row"]} for bar in ordered]
