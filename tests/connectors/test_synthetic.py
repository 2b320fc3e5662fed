import itertools
import math

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from transports.outgoing import Sent

START = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
SECOND = 1_000_000_000


def rows(config: SyntheticConfig, count: int, start: int = START, rate: float | None = None) -> pl.DataFrame:
    return pl.concat(SyntheticMarket(config, start, rate).chunks(count))


def test_the_same_seed_config_and_start_give_the_same_rows() -> None:
    config = SyntheticConfig(symbols=7, seed=3, duplicates=0.1, out_of_order=0.1, malformed=0.1)
    assert rows(config, 5_000).equals(rows(config, 5_000))


def test_another_seed_gives_other_prices() -> None:
    assert not rows(SyntheticConfig(seed=1), 100)["c"].equals(rows(SyntheticConfig(seed=2), 100)["c"])


def test_fewer_events_are_a_prefix_of_more() -> None:
    config = SyntheticConfig(symbols=9)
    assert rows(config, 120_000).head(60_001).equals(rows(config, 60_001))


def test_events_are_evenly_spaced_and_every_symbol_ticks_at_its_rate() -> None:
    events = rows(SyntheticConfig(symbols=4, tick_rate=5.0), 400)
    assert (events["src_ts"] - START).to_list() == [i * SECOND // 20 for i in range(400)]
    assert events["symbol"].value_counts()["count"].to_list() == [100] * 4


def test_a_rate_spreads_over_all_symbols() -> None:
    market = SyntheticMarket(SyntheticConfig(symbols=10, tick_rate=1.0), START, rate=1_000.0)
    events = next(market.chunks(1_001))
    assert market.rate == 1_000.0
    assert events["src_ts"][-1] - START == SECOND


def test_times_are_whole_microseconds() -> None:
    events = rows(SyntheticConfig(tick_rate=7.7), 1_000, start=START + 123)
    assert (events["src_ts"] % 1_000).unique().to_list() == [0]


def test_ids_are_derived_from_provider_symbol_time_and_a_sequence_per_symbol() -> None:
    events = rows(SyntheticConfig(symbols=("A|B", "SPY"), provider="sim"), 4)
    assert events["seq"].to_list() == [0, 0, 1, 1]
    assert events["event_id"][0] == r"sim|A\|B|2025-10-24T14:02:01.234567Z|0"
    assert events["event_id"][3] == "sim|SPY|2025-10-24T14:02:02.734567Z|1"


def test_sequences_and_prices_go_on_from_chunk_to_chunk() -> None:
    events = rows(SyntheticConfig(symbols=("SPY",), price_volatility=0.02), 100_010)
    assert events["seq"].to_list() == list(range(100_010))
    steps = np.abs(np.diff(np.log(events["c"].to_numpy())))
    assert steps.max() < 10 * 0.02 / math.sqrt(86_400)


def test_log_returns_have_the_volatility_of_the_config_per_day() -> None:
    events = rows(SyntheticConfig(symbols=("SPY",), tick_rate=1.0, price_volatility=0.5), 50_000)
    deviation = np.diff(np.log(events["c"].to_numpy())).std() * math.sqrt(86_400)
    assert deviation == pytest.approx(0.5, rel=0.02)


def test_prices_stay_valid_under_the_wildest_volatility() -> None:
    events = rows(SyntheticConfig(symbols=("SPY",), tick_rate=1e-4, price_volatility=10.0), 60_000)
    assert events["c"].is_between(0, 1e15).all()
    assert (events["v"] >= 1).all()


def test_without_a_count_the_market_never_closes() -> None:
    chunks = SyntheticMarket(SyntheticConfig(), START).chunks()
    assert sum(chunk.height for chunk in itertools.islice(chunks, 5)) == 5 * 49_998


def test_no_events_asked_for_none_made() -> None:
    assert rows(SyntheticConfig(duplicates=1.0, malformed=1.0), 0).is_empty()


def test_a_number_of_symbols_starts_with_known_tickers_and_goes_on_with_distinct_ones() -> None:
    names = SyntheticConfig(symbols=30_000).names()
    assert names[:3] == ["SPY", "AAPL", "MSFT"]
    assert len(set(names)) == 30_000


@pytest.mark.parametrize("symbols", [0, [], ["SPY", "SPY"], [""], ["S\n"], ["X" * 49]])
def test_symbols_that_no_market_has_are_refused(symbols: object) -> None:
    with pytest.raises(ValidationError):
        SyntheticConfig.model_validate({"symbols": symbols})


def test_the_account_of_a_clean_run_names_its_first_and_last_time() -> None:
    sent = Sent.of(rows(SyntheticConfig(symbols=3), 300))
    assert sent == Sent({"good": 300}, START, START + 299 * SECOND // 3 // 1_000 * 1_000, 0)
    assert (sent.total, sent.good, sent.duplicates, sent.out_of_order, sent.malformed) == (300, 300, 0, 0, 0)
