import threading

import polars as pl

from connectors.pacing import WallClock, at_arrival, at_once, at_rate
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from transports.outgoing import OUTGOING

START = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
SECOND = 1_000_000_000


class ScriptedClock:
    """A clock on which time passes only while somebody waits; it may be set back after a while, or a stop be due."""

    def __init__(self, now: int = START, stop_after: float | None = None, set_back_after: float | None = None) -> None:
        self._start, self._passed = now, 0
        self._stop_after, self._set_back_after = stop_after, set_back_after

    def now(self) -> int:
        return self._start + self._passed - (3_600 * SECOND if self._is_past(self._set_back_after) else 0)

    def steady(self) -> int:
        return self._passed

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self._passed += round(seconds * SECOND)

    def stopped(self) -> bool:
        return self._is_past(self._stop_after)

    def _is_past(self, seconds: float | None) -> bool:
        return seconds is not None and self._passed >= seconds * SECOND


def lines(count: int) -> pl.DataFrame:
    return pl.DataFrame({"seq": range(count)}, schema_overrides=OUTGOING).select(
        pl.col(name) if name == "seq" else pl.lit(None, dtype).alias(name) for name, dtype in OUTGOING.items()
    )


def test_nothing_leaves_before_its_arrival_and_nothing_much_after() -> None:
    config = SyntheticConfig(symbols=5, tick_rate=40, out_of_order=0.2, duplicates=0.2, malformed=0.1)
    market = SyntheticMarket(config, START)
    released = pl.concat(at_arrival(market.chunks(2_000), ScriptedClock()))
    delay = released["ingest_ts"] - released["arrival"]
    assert released.drop("ingest_ts").equals(pl.concat(market.chunks(2_000)).drop("ingest_ts"))
    assert delay.is_between(0, SECOND // 50).all()


def test_what_is_behind_is_released_at_once() -> None:
    market = SyntheticMarket(SyntheticConfig(tick_rate=10), START)
    slices = list(at_arrival(market.chunks(60), ScriptedClock(now=START + 60 * SECOND)))
    assert [piece.height for piece in slices] == [60]


def test_a_rate_spreads_rows_evenly_over_time_and_chunks() -> None:
    clock = ScriptedClock()
    released = pl.concat(at_rate([lines(150), lines(50)], 20.0, clock))
    due = START + released.with_row_index()["index"].cast(pl.Int64) * SECOND // 20
    assert released.height == 200
    assert (released["ingest_ts"] - due).is_between(0, SECOND // 50).all()


def test_a_rate_goes_on_when_the_clock_is_set_back() -> None:
    clock = ScriptedClock(set_back_after=2)
    assert pl.concat(at_rate([lines(100)], 20.0, clock)).height == 100
    assert 4.9 < clock.steady() / SECOND < 5.1


def test_a_stop_ends_the_release_where_it_is() -> None:
    released = pl.concat(at_rate([lines(100), lines(100)], 10.0, ScriptedClock(stop_after=5)))
    assert 45 <= released.height <= 51
    assert released["seq"].to_list() == list(range(released.height))


def test_without_a_rate_chunks_pass_whole_until_a_stop() -> None:
    stop = threading.Event()
    chunks = at_once(iter([lines(3), lines(3), lines(3)]), WallClock(stop))
    assert next(chunks).height == 3
    stop.set()
    assert list(chunks) == []


def test_a_stop_cuts_a_long_wait_short() -> None:
    stop = threading.Event()
    stop.set()
    WallClock(stop).wait(3_600)
    assert list(at_rate([lines(5)], 1e-6, WallClock(stop))) == []
