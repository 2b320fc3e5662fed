"""How much a record may ask for, whoever has written it.

A record is small on the wire and can say anything about what it becomes. What it says is added up before anything is
unpacked, and what would become more than this is refused as a whole, with its bytes as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Columns of nothing but nulls are short, however many rows they claim. Ticks in plain columns take 28 bytes a row at
# least: so many of them are larger than what a topic takes by default (1 MiB) many times over.
RECORD_ROWS: Final = 250_000

# What an Arrow record becomes: its buffers unpacked, its dictionaries once more for each batch that refers to them, and
# its texts written out wherever a few bytes stand for many. Sixty times what a topic takes by default, which market
# data does not reach by compression; a worker that has two such records at hand stays within half of its memory.
RECORD_BYTES: Final = 64 * 1024 * 1024


@dataclass
class Room:
    """What the Arrow records of a batch may become together: no more than one of them may."""

    rows: int = RECORD_ROWS
    nbytes: int = RECORD_BYTES

    def take(self, rows: int, nbytes: int) -> bool:
        """Makes it less by so much, if it is enough for that."""
        if rows > self.rows or nbytes > self.nbytes:
            return False
        self.rows, self.nbytes = self.rows - rows, self.nbytes - nbytes
        return True


# Rows of one record that leave alone when they are rejected or late, each as a record of its own. With more of them,
# the record leaves once, and names them: a thousand late rows as records cost as much as 50,000 that are in time.
ALONE_ROWS: Final = 100

# How many times the size of their record rows that leave alone may have together, their keys included. Each repeats
# the schema: twelve columns take about a kilobyte, so a row of 60 bytes takes seventeen times as much alone.
ALONE_TIMES: Final = 32

# Key and value of a refused record that leaves as it came, its headers besides. The topics it can leave for take 2 MiB
# (configs/topics.yaml), and what they take has to hold whatever it compresses to.
WHOLE_BYTES: Final = 1_500_000

# How much of the key and of the value of a larger one leaves: enough to see what it is.
STUB_BYTES: Final = 65_536

# Payloads of messages: above the first they are packed by gzip, above the second they lie outside of their record,
# where they may take as much as what they become, and what gzip adds to what it cannot pack.
GZIP_ABOVE_BYTES: Final = 128 * 1024
BLOB_ABOVE_BYTES: Final = 1024 * 1024
BLOB_BYTES: Final = RECORD_BYTES + 1024 * 1024
