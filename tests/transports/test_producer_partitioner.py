import polars as pl
import pytest

from transports.kafka.partitioner import Partitioner, murmur2


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # the vectors of Kafka's own UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_kafkas_clients(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32


def test_a_symbol_stays_on_its_partition_whatever_is_around_it() -> None:
    partitioner = Partitioner(7)
    symbols = [f"S{i}" for i in range(500)]
    together = partitioner.assign(pl.Series(symbols * 2))
    alone = [Partitioner(7).assign(pl.Series([symbol])).item() for symbol in symbols]
    assert together.to_list() == alone * 2
    assert set(alone) == set(range(7))


def test_records_without_a_symbol_go_to_the_first_partition() -> None:
    assert Partitioner(7).assign(pl.Series([None, None], dtype=pl.String)).to_list() == [0, 0]
    assert Partitioner(7).assign(pl.Series(["SPY", None]))[1] == 0
    assert Partitioner(7).assign(pl.Series([], dtype=pl.String)).to_list() == []
