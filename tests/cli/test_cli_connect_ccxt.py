"""What `mdp connect` says about venues of ccxt before it connects."""

from __future__ import annotations

from tests.cli.cli_result import Mdp


def test_an_unknown_venue_is_one_line_that_names_the_nearest(mdp: Mdp) -> None:
    result = mdp("connect", "run", "--connector", "ccxt", "--symbols", "BTC/USD", "--set", "venue=krakn", "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert "krakn" in result.err
    assert "did you mean kraken" in result.err
    assert result.err.count("\n") == 1
