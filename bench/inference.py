"""`python -m bench.inference`: the cost of a window close in inference, for 1,000 symbols at once.

The whole step is measured, from a batch with features to the batch with signals, including ids: the rules of
configs/rules.yaml; the same rules with emit: edge; a scaler with a logistic regression; a forest of 100 trees. The
models are fitted here and loaded from a skops file as in a deployment. Medians of consecutive windows.

A model runs on the worker's own thread, in one call per close of a partition, so the flow is blocked for the duration
of the call, and never for longer than one close.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import skops.io
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench import results
from contracts.batch import MicroBatch
from contracts.frames import features_schema
from flows.config_file import load
from inference.config import AdaptersConfig, InferenceConfig, RulesConfig, SklearnConfig
from inference.engine import Inference, build

PROJECT: Final = Path(__file__).resolve().parent.parent
SYMBOLS: Final = 1_000
RULES_MS: Final = 1.0
LOGISTIC_MS: Final = 2.0
FOREST_ROWS: Final = (1, 125, 1_000)  # 125: a partition's share of 500 symbols on 4 partitions
TREES: Final = 100
_WINDOW_NS: Final = 2_000_000_000
_START_NS: Final = 1_760_000_000 * 10**9
_WARM_UP: Final = 10


def closes(names: tuple[str, ...], symbols: int, count: int) -> list[MicroBatch]:
    """The features of consecutive windows; about one row in twenty triggers the configured rules."""
    return [_close(names, symbols, number) for number in range(count)]


def _close(names: tuple[str, ...], symbols: int, number: int) -> MicroBatch:
    chance = np.random.default_rng(number)
    price = chance.uniform(20, 900, symbols)
    scales = {"momentum": (0.0, 0.004), "volatility": (0.02, 0.005), "rsi": (50.0, 10.0)}
    values = {name: chance.normal(*scales.get(name, (0.0, 1.0)), symbols) for name in names}
    bar = dict.fromkeys(("open", "high", "low", "close", "vwap"), price)
    rows = {
        "provider": pl.repeat("synthetic", symbols, eager=True),
        "symbol": [f"S{symbol:04d}" for symbol in range(symbols)],
        "interval": pl.repeat("2s", symbols, eager=True),
        "ts": np.full(symbols, _START_NS + number * _WINDOW_NS),
        **values,
        **bar,
        "volume": chance.integers(100, 9_000, symbols).astype(float),
        "trades": np.full(symbols, 20),
        "offset": np.full(symbols, number * 10_000),
        "row": np.zeros(symbols, np.int64),
    }
    frame = pl.DataFrame(rows, schema=features_schema(names))
    return MicroBatch(topic="mdp.events", partition=0, next_offset=number * 10_000 + 1, results={"features": frame})


def step_ms(inference: Inference, batches: list[MicroBatch]) -> tuple[float, float]:
    """Median milliseconds of a step, and the average number of its signals."""
    took, made = [], []
    for batch in batches:
        began = time.perf_counter()
        result = inference.step(batch)
        took.append(time.perf_counter() - began)
        made.append(result.signals.height)
    return statistics.median(took[_WARM_UP:]) * 1e3, statistics.fmean(made)


def fitted(names: tuple[str, ...], folder: Path) -> dict[str, Path]:
    """Files of models that roughly predict whether momentum and RSI are high."""
    rows = pl.concat([batch.features for batch in closes(names, SYMBOLS, 5) if batch.features is not None])
    noise = np.random.default_rng(0).normal(0, 5, rows.height)
    outcome = (rows["rsi"].to_numpy() + 1_000 * rows["momentum"].to_numpy() + noise > 50).astype(int)
    models: dict[str, Any] = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "forest": RandomForestClassifier(TREES, random_state=0),
    }
    files = {}
    for name, model in models.items():
        files[name] = folder / f"{name}.skops"
        skops.io.dump(model.fit(rows.select(names).to_numpy(), outcome), files[name])
    return files


def measure(folder: Path, count: int) -> dict[str, Any]:
    settings = load(PROJECT / "configs" / "streaming.yaml", [])
    names, span = settings.features.names, settings.span_ns
    files = fitted(names, folder)
    batches = closes(names, SYMBOLS, count + _WARM_UP)

    def of(**adapters: Any) -> Inference:
        return build(InferenceConfig(adapters=AdaptersConfig(**adapters)), names, span)

    def model(name: str) -> Inference:
        config = SklearnConfig(enabled=True, model_path=str(files[name]), threshold=0.6, trusted=_trusted(files[name]))
        return of(sklearn=config)

    rules = PROJECT / "configs" / "rules.yaml"
    rules_ms, fired = step_ms(of(rules=RulesConfig(file=rules)), batches)
    edges_ms, _ = step_ms(of(rules=RulesConfig(file=_on_edges(rules, folder))), batches)
    logistic_ms, _ = step_ms(model("logistic"), batches)
    forest = {rows: step_ms(model("forest"), closes(names, rows, count // 5 + _WARM_UP))[0] for rows in FOREST_ROWS}
    return {
        "rules_1000_ms": round(rules_ms, 3),
        "rules_on_edges_1000_ms": round(edges_ms, 3),
        "signals_of_rules": round(fired, 1),
        "logistic_1000_ms": round(logistic_ms, 3),
        "forest_ms": {str(rows): round(took, 2) for rows, took in forest.items()},
    }


def _trusted(file: Path) -> tuple[str, ...]:
    return tuple(skops.io.get_untrusted_types(file=file))


def _on_edges(rules: Path, folder: Path) -> Path:
    file = folder / "edges.yaml"
    entries = yaml.safe_load(rules.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump([{**entry, "emit": "edge"} for entry in entries]), encoding="utf-8")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdp-inference-") as folder:
        found = measure(Path(folder), asked.windows)
    results.keep("inference", found)
    _show(found)


def _show(found: dict[str, Any]) -> None:
    print(f"{'ms per window close':52}{'p50':>8}")
    print(f"{f'rules, {SYMBOLS:,} symbols':52}{found['rules_1000_ms']:8.2f}  target <= {RULES_MS}")
    print(f"{f'the same rules on edges, {SYMBOLS:,} symbols':52}{found['rules_on_edges_1000_ms']:8.2f}")
    title = f"scaler and logistic regression, {SYMBOLS:,} symbols"
    print(f"{title:52}{found['logistic_1000_ms']:8.2f}  target <= {LOGISTIC_MS}")
    for rows, took in found["forest_ms"].items():
        print(f"{f'forest of {TREES} trees, {int(rows):,} symbols: the flow stands still':52}{took:8.2f}")


if __name__ == "__main__":
    main()
