import polars as pl
import pytest

from codec.decode import Decoder
from codec.encode import encode
from connectors.synthetic.malformed import MALFORMED
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from contracts.record import Fetch, Records
from transports.outgoing import Sent

START = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND


def rows(config: SyntheticConfig, count: int) -> pl.DataFrame:
    return pl.concat(SyntheticMarket(config, START).chunks(count))


class Delivered:
    """A JSON record as a consumer gets it, an hour after the event."""

    def __init__(self, offset: int, value: bytes) -> None:
        self._offset, self._value = offset, value

    def value(self) -> bytes:
        return self._value

    def key(self) -> bytes | None:
        return None

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, START // MILLISECOND + 3_600_000

    def headers(self) -> None:
        return None


@pytest.mark.parametrize("kind", MALFORMED)
def test_every_kind_of_malformed_record_is_refused_and_its_neighbours_are_not(kind: str) -> None:
    sent = rows(SyntheticConfig(tick_rate=100, malformed=1.0), 600)
    broken = sent.filter(pl.col("label") == kind)["raw"].to_list()
    good = encode(sent.filter(pl.col("label") == "good").head(len(broken)), "json")
    values = [value for pair in zip(good, broken, strict=True) for value in pair]
    records = [Delivered(offset, value) for offset, value in enumerate(values)]
    fetch = Fetch(topic="events", partition=0, next_offset=len(records), records=Records.of(records))
    batch = Decoder(window_ns=SECOND, max_future_ns=5 * SECOND).decode(fetch)
    assert len(broken) > 0
    assert batch.events["offset"].to_list() == list(range(0, len(records), 2))
    assert batch.rejects["offset"].to_list() == list(range(1, len(records), 2))


def test_broken_records_keep_the_symbol_that_decides_their_partition() -> None:
    sent = rows(SyntheticConfig(symbols=("SPY",), malformed=0.5), 100)
    assert sent["symbol"].unique().to_list() == ["SPY"]


def test_every_fault_occurs_about_as_often_as_asked() -> None:
    config = SyntheticConfig(symbols=50, tick_rate=100, duplicates=0.1, out_of_order=0.2, malformed=0.05)
    sent = Sent.of(rows(config, 20_000))
    assert sent.good == 20_000
    assert sent.duplicates == pytest.approx(2_000, rel=0.1)
    assert sent.out_of_order == pytest.approx(4_000, rel=0.1)
    assert sent.malformed == pytest.approx(1_000, rel=0.15)
    assert sent.total == sent.good + sent.duplicates + sent.malformed


def test_a_duplicate_is_the_same_event_after_its_original() -> None:
    sent = rows(SyntheticConfig(tick_rate=50, duplicates=0.3, out_of_order=0.3), 2_000).with_row_index()
    copies = sent.filter(pl.col("label") == "duplicate")
    originals = sent.filter(pl.col("label") != "duplicate")
    both = copies.join(originals, on="event_id", suffix="_first", validate="1:1")
    assert both.height == copies.height > 0
    assert (both["index"] > both["index_first"]).all()
    for column in ("symbol", "src_ts", "c", "v", "seq"):
        assert both[column].equals(both[f"{column}_first"], check_names=False)


def test_every_event_is_there_once_though_delayed_over_the_edges_of_chunks() -> None:
    config = SyntheticConfig(symbols=10, tick_rate=1_000, out_of_order=0.5, max_delay_ms=20_000)
    chunks = list(SyntheticMarket(config, START).chunks(120_000))
    sent = pl.concat(chunks)
    assert len(chunks) > 1
    assert sent["event_id"].n_unique() == sent.height == 120_000
    assert sent["arrival"].is_sorted()


def test_disorder_is_measured_against_everything_sent_before() -> None:
    config = SyntheticConfig(symbols=10, tick_rate=1_000, out_of_order=0.1, duplicates=0.1, max_delay_ms=3_000)
    sent = rows(config, 60_000)
    newest, worst, delayed = 0, 0, 0
    for time, label in sent.select("src_ts", "label").iter_rows():
        worst = max(worst, newest - time)
        delayed += newest > time and label != "duplicate"
        newest = max(newest, time)
    account = Sent.of(sent)
    assert account.max_disorder_ns == worst <= 3_000 * MILLISECOND
    assert account.out_of_order == delayed


def test_by_default_no_disorder_exceeds_the_default_grace() -> None:
    sent = Sent.of(rows(SyntheticConfig(symbols=20, tick_rate=50, out_of_order=1.0, duplicates=1.0), 10_000))
    assert sent.max_disorder_ns is not None
    assert 0 < sent.max_disorder_ns < 500 * MILLISECOND


def test_accounts_add_up_like_the_rows_they_stand_for() -> None:
    config = SyntheticConfig(symbols=10, tick_rate=500, out_of_order=0.1, duplicates=0.1, malformed=0.1)
    chunks = list(SyntheticMarket(config, START).chunks(110_000))
    assert sum((Sent.of(chunk) for chunk in chunks), Sent()) == Sent.of(pl.concat(chunks))
    assert Sent.of(chunks[0]) + Sent() == Sent.of(chunks[0])
