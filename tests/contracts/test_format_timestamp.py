from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts.timestamps import format_timestamp, format_timestamps

times = (
    st.integers(-(2**63) + 1, 2**63 - 1)
    | st.integers(-(10**6), 10**6)
    | st.integers(-(10**9), 10**9).map(lambda second: second * 10**9)
)


@given(st.lists(times, min_size=1, max_size=20))
def test_one_time_is_written_as_in_a_column(moments: list[int]) -> None:
    assert list(map(format_timestamp, moments)) == format_timestamps(pl.Series(moments, dtype=pl.Int64)).to_list()
