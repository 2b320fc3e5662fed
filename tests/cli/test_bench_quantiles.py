from __future__ import annotations

from math import inf

from mdp.cost.quantiles import quantile

BUCKETS = {1.0: 10.0, 2.0: 10.0, 4.0: 20.0, inf: 20.0}


def test_a_quantile_lies_in_the_bucket_that_holds_it() -> None:
    assert [quantile(BUCKETS, share) for share in (0.25, 0.5, 0.75, 1.0)] == [0.5, 1.0, 3.0, 4.0]


def test_what_is_above_all_bounds_is_at_least_the_last_one() -> None:
    assert quantile({1.0: 0.0, inf: 3.0}, 0.5) == 1.0


def test_without_values_there_is_no_quantile() -> None:
    assert quantile({1.0: 0.0, inf: 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None
