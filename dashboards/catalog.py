"""All dashboards and their files."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import errors, features, inference, market, micro_batches, store, streaming
from dashboards.board import board, market_board

BOARDS = (
    board("mdp-streaming", "Streaming overview", "Health, input rates and lag.", streaming.PANELS),
    board("mdp-micro-batches", "Micro-batches", "From events to bars: how fast, how many.", micro_batches.PANELS),
    board("mdp-store", "Store", "Writes to the database and to Kafka.", store.PANELS),
    board("mdp-features", "Features", "Rolling features, and their state.", features.PANELS),
    board("mdp-inference", "Inference", "Evaluators and their signals.", inference.PANELS),
    market_board("mdp-market", "Market", "Candles, signals and features of one symbol.", market.PANELS),
    board("mdp-errors", "Errors", "Errors, refused events, and outages.", errors.PANELS),
)


def rendered() -> dict[str, str]:
    """The text of each dashboard by file name."""
    boards = [builder.build() for builder in BOARDS]
    return {
        f"{str(each.uid).removeprefix('mdp-')}.json": json.dumps(each, cls=JSONEncoder, sort_keys=True, indent=2) + "\n"
        for each in boards
    }
