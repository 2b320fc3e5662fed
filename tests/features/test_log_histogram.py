import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.lateness.log_histogram import ERROR, LogHistogram

US = 1_000


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(-10_000, 10_000), min_size=1), st.floats(0, 1))
def test_quantiles_are_known_to_half_a_percent_or_a_microsecond(times: list[int], share: float) -> None:
    histogram, values = LogHistogram(), np.array(times, np.int64)
    histogram.add(values[:3])
    histogram.add(values[3:])
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert histogram.quantile(share) == pytest.approx(exact, rel=ERROR * 1.001, abs=US)
    assert (len(histogram), histogram.largest) == (len(times), max(times))


def test_the_quantiles_of_a_known_distribution_come_out() -> None:
    histogram = LogHistogram()
    histogram.add(np.random.default_rng(7).exponential(200e6, 1_000_000).astype(np.int64))
    for share in (0.5, 0.9, 0.99):
        assert histogram.quantile(share) == pytest.approx(-np.log1p(-share) * 200e6, rel=0.01)


def test_shares_above_a_time_fall_to_nothing() -> None:
    histogram = LogHistogram()
    histogram.add(np.array([-5, 0, 1, 2, 4]) * 1_000_000)
    times, shares = histogram.exceeded()
    assert times == pytest.approx([1e6, 2e6, 4e6], rel=2 * ERROR)
    assert shares == pytest.approx([2 / 5, 1 / 5, 0])
    assert [histogram.share_below(time) for time in (0, 1.5e6, 9e6)] == [1 / 5, 3 / 5, 1]
