from __future__ import annotations

import pytest

from contracts.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "suggestion"),
    [
        ("momentun", ["momentum", "rsi"], "; did you mean momentum?"),
        ("spy", ["SPY", "QQQ"], "; did you mean SPY?"),
        ("BTC/USD", ["ETH/USDT", "BTC/USDT"], "; did you mean BTC/USDT?"),
        ("mdp.sgnals", iter(["mdp.events", "mdp.signals"]), "; did you mean mdp.signals?"),
        ("AAPL", ["SPY"], ""),
        ("AAPL", [], ""),
    ],
)
def test_the_nearest_word_that_is_known_is_meant_whatever_its_case(
    word: str, known: list[str], suggestion: str
) -> None:
    assert did_you_mean(word, known) == suggestion
