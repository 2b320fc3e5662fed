"""`python -m bench.files`: how fast a dump of trades in CSV gets into Kafka, and DBN into columns.

The dump has the form of Binance's, and goes in by `mdp stream produce` in a process of its own: the survey, the parsing
and the sending until all is acknowledged are in. The events of the topic are counted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import results
from connectors.files.layout import Layout
from connectors.files.maps import load_map
from connectors.files.opening import opened
from connectors.files.reader import Reading, read
from mdp.local import LocalStack

ROWS_A_SECOND: Final = 500_000
TRADES_A_SECOND: Final = 2_000_000
PARTITIONS: Final = 4
TOPIC: Final = "bench.files"
SYMBOLS: Final = 4
_CHUNK: Final = 200_000
_START_MS: Final = 1_735_689_600_000
_BYTES_A_ROW: Final = 74


def dump(folder: Path, megabytes: int) -> tuple[int, int]:
    """Writes dumps of that many megabytes together, one for each symbol; returns their rows and bytes."""
    chance, rows, size = np.random.default_rng(7), 0, 0
    wanted = (megabytes << 20) // SYMBOLS // _BYTES_A_ROW
    for symbol in range(SYMBOLS):
        path = folder / f"SYM{symbol}USDT-trades-2025-01.csv"
        with path.open("wb") as file:
            for first in range(0, wanted, _CHUNK):
                count = min(_CHUNK, wanted - first)
                _rows(chance, first, count).write_csv(file, include_header=False, float_precision=8)
        rows, size = rows + wanted, size + path.stat().st_size
    return rows, size


def _rows(chance: np.random.Generator, first: int, count: int) -> pl.DataFrame:
    prices, sizes = 42_000 + chance.normal(0, 5, count).round(2), chance.exponential(0.1, count).round(5)
    ids = np.arange(first, first + count)
    return pl.DataFrame(
        {
            "id": ids + 4_000_000_000,
            "price": prices,
            "qty": sizes,
            "quote": prices * sizes,
            "time": _START_MS * 1_000 + ids * 997,
            "maker": pl.Series(chance.random(count) < 0.5).cast(pl.String).str.to_titlecase(),
            "best": pl.Series(["True"]).new_from_index(0, count),
        }
    )


def produced(stack: LocalStack, folder: Path) -> dict[str, Any]:
    """What sending the dumps took."""
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "log_level": 0})
    for made in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
        made.result(30)
    options = ["--path", str(folder / "*.csv"), "--map", "binance-trades", "--topic", TOPIC, "--json"]
    command = [
        sys.executable,
        "-c",
        "from mdp.cli import main; main()",
        "stream",
        "produce",
        "--provider",
        "file",
        *options,
    ]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, "KAFKA_BROKERS": stack.kafka.bootstrap, "DATABASE_URL": stack.postgres.conninfo()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    sent = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"FAILED: produce ended with {process.returncode}")
    return {
        "rows": sent["total"],
        "seconds": time.perf_counter() - began,
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": used.ru_maxrss / 1024,
    }


def decoded(path: Path, count: int) -> dict[str, float]:
    """Trades of a DBN file per second of CPU time: as columns of the format, and as those of trades/v2."""
    from connectors.databento.dbn import read_dbn  # noqa: PLC0415 - an extra

    columns = load_map("dbn-trades").model_copy(update={"type": "trades/v2"})
    layout = Layout.of(columns, {})
    reading = Reading.of_map(columns, None, None, lambda _: None)
    return {
        "columns_per_s": _rate(count, lambda: sum(piece.height for piece in read_dbn(opened(path)[0], layout, 50_000))),
        "canonical_per_s": _rate(count, lambda: sum(frame.height for frame in read([path], reading))),
    }


def _rate(count: int, run: Callable[[], int]) -> float:
    rates = []
    for _ in range(3):
        began = time.process_time()
        if run() != count:
            raise SystemExit("FAILED: not all trades were read")
        rates.append(count / (time.process_time() - began))
    return max(rates)


def dbn_file(path: Path, count: int) -> None:
    """Writes trades of one instrument as DBN."""
    import databento_dbn  # noqa: PLC0415

    from tests.connectors.dbn_files import ESM2, T0, metadata, trade  # noqa: PLC0415 - needs the extra

    one = np.frombuffer(trade(3955_500000000), np.dtype(databento_dbn.TradeMsg._dtypes))
    records = np.repeat(one, count)
    records["ts_event"] = T0 + np.arange(count) * 1_000
    records["ts_recv"] = records["ts_event"] + 78_768
    records["sequence"] = np.arange(count)
    records["price"] += (np.arange(count) % 400) * 250_000_000
    path.write_bytes(metadata("trades", ESM2) + records.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--trades", type=int, default=2_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdp-files-") as name:
        folder = Path(name)
        rows, size = dump(folder, asked.megabytes)
        stack = LocalStack(folder / "mdp")
        try:
            stack.up(lambda _: None)
            csv = produced(stack, folder)
        finally:
            stack.remove()
        if csv["rows"] != rows:
            raise SystemExit(f"FAILED: {csv['rows']:,} of {rows:,} rows were sent")
        dbn_file(folder / "trades.dbn", asked.trades)
        dbn = decoded(folder / "trades.dbn", asked.trades)
    found = {
        "csv": {
            **csv,
            "megabytes": size / 2**20,
            "rows_per_s": rows / csv["seconds"],
            "rows_per_cpu_s": rows / csv["cpu_s"],
        },
        "dbn": dbn,
    }
    results.keep("files", found)
    print(f"CSV: {found['csv']['rows_per_s']:,.0f} rows a second  target >= {ROWS_A_SECOND:,}; {csv['rss_mb']:,.0f} MB")
    print(f"CSV: {found['csv']['rows_per_cpu_s']:,.0f} rows per second of CPU time")
    print(f"DBN: {dbn['canonical_per_s']:,.0f} trades a second and core  target >= {TRADES_A_SECOND:,}")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
