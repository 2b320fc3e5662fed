"""Pages of several symbols in one order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from connectors.runtime.merging import Row, merged


async def pages(rows: Sequence[Row], size: int) -> AsyncIterator[Sequence[Row]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]


async def all_of(*sources: AsyncIterator[Sequence[Row]]) -> list[list[Row]]:
    return [rows async for rows in merged({str(number): one for number, one in enumerate(sources)})]


@given(st.integers(0, 2**32), st.integers(0, 4))
def test_rows_of_all_symbols_come_in_the_order_of_time_each_once(seed: int, count: int) -> None:
    chance = random.Random(seed)
    rows = [
        [Row(time, f"{symbol}-{time}".encode()) for time in sorted(chance.choices(range(50), k=chance.randrange(40)))]
        for symbol in range(count)
    ]
    found = asyncio.run(all_of(*(pages(one, chance.randrange(1, 9)) for one in rows)))
    flat = [row for batch in found for row in batch]
    assert [row.time_ns for row in flat] == sorted(row.time_ns for row in flat)
    assert sorted(flat) == sorted(row for one in rows for row in one)


def test_a_symbol_without_rows_holds_nobody_up() -> None:
    rows = [Row(time, b"x") for time in range(5)]
    batches = asyncio.run(all_of(pages([], 1), pages(rows, 2)))
    assert [row for batch in batches for row in batch] == rows
