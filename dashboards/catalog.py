"""All dashboards, and the files that they become."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import errors, features, inference, market, micro_batches, store, streaming
from dashboards.board import board, market_board

BOARDS = (
    board("mdp-streaming", "Streaming overview", "Is it well? What comes in, and how far behind.", streaming.PANELS),
    board("mdp-micro-batches", "Micro-batches", "From events to bars: how fast, how many.", micro_batches.PANELS),
    board("mdp-store", "Store", "What is written to the database and to Kafka.", store.PANELS),
    board("mdp-features", "Features", "Rolling features, and the state they are made from.", features.PANELS),
    board("mdp-inference", "Inference", "Evaluators and their signals.", inference.PANELS),
    market_board("mdp-market", "Market", "Candles, signals and features of one symbol.", market.PANELS),
    board("mdp-errors", "Errors", "What went wrong, was refused, was waited for.", errors.PANELS),
)


def rendered() -> dict[str, str]:
    """The text of each dashboard by the name of its file."""
    boards = [builder.build() for builder in BOARDS]
    return {
        f"{str(each.uid).removeprefix('mdp-')}.json": json.dumps(each, cls=JSONEncoder, sort_keys=True, indent=2) + "\n"
        for each in boards
    }
