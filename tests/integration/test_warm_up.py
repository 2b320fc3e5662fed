"""Reading a log from `warm_up_ns` before a time is enough to know the windows from then on, if symbols are rare too."""

import json
import random
from pathlib import Path

import polars as pl
import yaml

from codec.decode import Decoder
from contracts.timestamps import format_timestamps
from features.bars.windows import Windows
from features.rolling.rolling import RollingFeatures
from flows.settings import Settings
from inference.engine import build
from mdp.ops.file_records import as_fetch
from tests.market import START

WINDOW = 2_000_000_000
FROM = START + 150 * WINDOW


def market() -> list[tuple[int, bytes]]:
    """Symbols that trade in every eighth window on average: (time, event)."""
    chance = random.Random(3)
    traded = [(START + n * WINDOW, f"S{s}") for n in range(300) for s in range(40) if chance.random() < 0.125]
    times = format_timestamps(pl.Series([time for time, _ in traded]))
    common = {"provider": "feed", "kind": "tick", "v": 1.0}
    return [
        (time, json.dumps({**common, "symbol": symbol, "src_ts": text, "c": chance.uniform(90, 110)}).encode())
        for (time, symbol), text in zip(traded, times, strict=True)
    ]


def signals(settings: Settings, log: list[tuple[int, bytes]]) -> list[str]:
    """The ids of the signals from FROM on."""
    decoder = Decoder(WINDOW, 0)
    windows = Windows(settings.micro_batch)
    rolling = RollingFeatures(settings.features.windows, WINDOW, settings.micro_batch.amend_ns)
    inference = build(settings.inference, settings.features.names, settings.span_ns)
    numbered = [(number, text) for number, (_, text) in enumerate(log)]
    batches = (
        inference.step(rolling.step(windows.step(decoder.decode(as_fetch("log", numbered[start : start + 100])))))
        for start in range(0, len(log), 100)
    )
    made = pl.concat([batch.signals for batch in batches if batch.signals.height])
    return made.filter(pl.col("ts") - WINDOW >= FROM)["signal_id"].to_list()


def test_rules_on_an_edge_know_whether_they_held_before(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    rule = {"name": "wild", "condition": "volatility > 0.05", "signal": 1.0, "score": 1.0, "emit": "edge"}
    file.write_text(yaml.safe_dump([rule]))
    settings = Settings.model_validate(
        {
            "features": {"windows": [{"name": "volatility", "horizon": "80s"}]},
            "inference": {"adapters": {"rules": {"file": str(file)}}},
        }
    )
    log = market()
    expected = signals(settings, log)
    assert len(expected) > 20
    assert signals(settings, [event for event in log if event[0] >= FROM - settings.warm_up_ns]) == expected
