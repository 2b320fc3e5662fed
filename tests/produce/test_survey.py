"""What is told of files before they are sent is what a flow would count."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from mdp.ops.survey import Survey, latest
from tests.event_logs import CONFIG, MS
from tests.oracle_windows import WindowOracle
from transports.kafka.partitioner import Partitioner
from transports.outgoing import UNCHECKED, outgoing

NOW_MS = 1_000
FEEDS: st.SearchStrategy[tuple[str, str, int]] = st.tuples(
    st.sampled_from("ab"), st.sampled_from("XYZ"), st.integers(0, NOW_MS + 40)
)
NOTHING = pl.DataFrame(schema={"partition": pl.Int64, "provider": pl.String, "newest": pl.Int64})


@given(st.lists(FEEDS, max_size=60), st.lists(FEEDS, max_size=5), st.integers(1, 3), st.integers(1, 20))
def test_as_many_are_late_and_rejected_as_a_flow_would_count(
    events: list[tuple[str, str, int]], there: list[tuple[str, str, int]], partitions: int, chunk: int
) -> None:
    in_time = CONFIG.max_future_ms + NOW_MS
    there = [event for event in there if event[2] <= in_time]
    oracles = [WindowOracle(CONFIG) for _ in range(partitions)]
    places = Partitioner(partitions).assign(pl.Series([symbol for _, symbol, _ in [*there, *events]], dtype=pl.String))
    outcomes = [
        _outcome(oracles[place], number, *event) if event[2] <= in_time else "rejected"
        for number, (place, event) in enumerate(zip(places, [*there, *events], strict=True))
    ]
    newest = [
        {"partition": place, "provider": provider, "newest": time * MS}
        for place, (provider, _, time) in zip(places, there, strict=False)
    ]
    survey = Survey(CONFIG, partitions, latest(pl.DataFrame(newest, NOTHING.schema)), now_ns=NOW_MS * MS)
    sent = outgoing(
        pl.DataFrame(
            [{"provider": provider, "symbol": symbol, "src_ts": time * MS} for provider, symbol, time in events],
            {"provider": pl.String, "symbol": pl.String, "src_ts": pl.Int64},
        ),
        UNCHECKED,
    )
    survey.over(sent.iter_slices(chunk))
    found = outcomes[len(there) :]
    assert (survey.rows, survey.late, survey.rejected) == (len(events), found.count("late"), found.count("rejected"))
    assert survey.symbols == {symbol for _, symbol, _ in events}
    times = [time * MS for _, _, time in events if time <= in_time]
    assert (survey.first_ns, survey.last_ns) == (min(times, default=None), max(times, default=None))


def _outcome(oracle: WindowOracle, number: int, provider: str, symbol: str, time: int) -> str:
    values = {"o": None, "h": None, "l": None, "c": 1.0, "v": 1.0, "seq": None, "event_id": str(number)}
    where = {"offset": number, "row": 0, "kind": "tick"}
    return oracle.take({**where, **values, "provider": provider, "symbol": symbol, "src_ts": time * MS})
