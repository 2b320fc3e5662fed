"""Limits on the decoded size of a record, whoever has written it.

A record that is small on the wire can decode to any size. The sizes that it states are summed before anything is
decompressed, and a record above these limits is refused as a whole, with its original bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Columns of nulls only are short, however many rows they claim. Ticks in plain columns take at least 28 bytes per row:
# this many of them exceed a topic's default limit (1 MiB) many times.
RECORD_ROWS: Final = 250_000

# The decoded size of an Arrow record: its decompressed buffers, its dictionaries once per batch that refers to them,
# and its decoded strings. Sixty times a topic's default limit, which compressed market data does not reach; a worker
# that holds two such records stays within half of its memory.
RECORD_BYTES: Final = 64 * 1024 * 1024


@dataclass
class Room:
    """The budget for the decoded size of a batch's Arrow records together: the limit of a single record."""

    rows: int = RECORD_ROWS
    nbytes: int = RECORD_BYTES

    def take(self, rows: int, nbytes: int) -> bool:
        """Reserves rows and bytes; returns whether the budget is sufficient."""
        if rows > self.rows or nbytes > self.nbytes:
            return False
        self.rows, self.nbytes = self.rows - rows, self.nbytes - nbytes
        return True


# Rejected or late rows of one record that are written separately, each as a record of its own. With more of them, the
# record is written once, and names them: a thousand late rows as records cost as much as 50,000 rows in time.
ALONE_ROWS: Final = 100

# Maximum total size of rows written separately, in multiples of their record's size, including keys. Each repeats the
# schema: twelve columns take about a kilobyte, so a row of 60 bytes takes seventeen times as much alone.
ALONE_TIMES: Final = 32

# Size of key and value, without headers, of a refused record that is written as a whole. Its target topics accept 2 MiB
# (configs/topics.yaml), which must suffice however badly it compresses.
WHOLE_BYTES: Final = 1_500_000

# How much of the key and of the value of a larger one is written: enough to recognize it.
STUB_BYTES: Final = 65_536

# Payloads of messages: above the first they are packed by gzip, above the second they lie outside of their record,
# where they may take as much as what they become, and what gzip adds to what it cannot pack.
GZIP_ABOVE_BYTES: Final = 128 * 1024
BLOB_ABOVE_BYTES: Final = 1024 * 1024
BLOB_BYTES: Final = RECORD_BYTES + 1024 * 1024
