"""What messages of each domain are in order by."""

from __future__ import annotations

import pytest

from contracts.domain_keys import KEYS, partition_key
from tests.contracts.bus_examples import EXAMPLES

FIELDS = {
    "bars": {"symbol": "AAPL", "mic": "XNAS"},
    "ticks": {"symbol": "MSFT", "mic": "XNAS"},
    "news": {"id": "marketbeat:2025-09-05:amzn-headline-8b12c6"},
    "fx": {"base": "USD", "quote": "JPY"},
    "signals": {"model_id": "hyper@2025-09-05", "symbol": "NVDA", "mic": "XNAS"},
    "orders": {"client_order_id": "co_20250905_001"},
    "fills": {"account_id": "ALPACA-LIVE-01", "client_order_id": "co_20250905_001"},
    "positions": {"account_id": "ALPACA-LIVE-01", "symbol": "AAPL", "mic": "XNAS"},
    "metrics": {"service": "ampy-oms", "metric_name": "oms.order_rejects"},
}


@pytest.mark.parametrize("domain", FIELDS)
def test_keys_are_those_of_the_bus_contract(domain: str) -> None:
    assert partition_key(domain, {**FIELDS[domain], "other": "x"}) == EXAMPLES[domain]["partition_key"]


@pytest.mark.parametrize(
    ("domain", "fields", "key"),
    [
        ("trades", {"symbol": "BTC-USD", "mic": "COINBASE"}, "BTC-USD.COINBASE"),
        ("quotes", {"symbol": "NQZ5", "mic": None}, "NQZ5"),
        ("orderbook", {"symbol": "BRK.B", "mic": "XNYS"}, "BRK.B.XNYS"),
        ("bars", {"symbol": "SPY"}, "SPY"),
        ("gex", {"symbol": "SPX", "mic": "CBOE"}, "SPX"),
        ("risk", {"symbol": "book-7"}, "book-7"),
        ("calendar", {"id": "nfp:2025-11-07"}, "nfp:2025-11-07"),
        ("universe", {"universe_id": "sp500"}, "sp500"),
        ("signals", {"model_id": "rules", "symbol": "SPY", "horizon": "2s"}, "rules|SPY|2s"),
        (
            "fundamentals",
            {"symbol": "AAPL", "mic": "XNAS", "period_end": "2025-06-30", "source": "tiingo"},
            "AAPL.XNAS|2025-06-30|tiingo",
        ),
        ("control", {"domain": "bars", "subject": "XNAS.AAPL"}, "bars|XNAS.AAPL"),
    ],
)
def test_a_part_that_a_message_need_not_have_is_left_out(domain: str, fields: dict[str, str], key: str) -> None:
    assert partition_key(domain, fields) == key


@pytest.mark.parametrize("domain", KEYS)
def test_a_message_without_what_orders_it_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match=f"a message of {domain} is ordered by "):
        partition_key(domain, {"mic": "XNAS", "horizon": "1d"})


def test_there_are_no_keys_of_a_domain_that_nobody_knows() -> None:
    with pytest.raises(KeyError):
        partition_key("weather", {"symbol": "SPY"})
