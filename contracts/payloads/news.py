"""news/v1: headlines."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.message import MessageType
from contracts.values import MAX_ITEMS, LongText, Text, Url, about

Sentiment = Annotated[float, Meta(ge=-1, le=1)]


class NewsItem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A headline."""

    headline: Annotated[LongText, about("The headline itself.")]
    source: Annotated[Text, about("Who published it.")]
    tickers: Annotated[list[Text], Meta(max_length=MAX_ITEMS), about("The symbols that it is about.")]
    sentiment: Annotated[Sentiment, about("-1 is bad news, 1 good.", "from -1 to 1")] | None = None
    url: Annotated[Url, about("Where the text is.")] | None = None


NEWS_V1: Final = MessageType(
    name="news",
    version="1.0.0",
    struct=NewsItem,
    event_type="news.item",
    table="news",
    examples=(
        {
            "headline": "Chip maker raises its outlook for the year",
            "source": "marketbeat",
            "tickers": ["NVDA", "AMD"],
            "sentiment": 0.24,
            "url": "https://news.example/2025/10/28/outlook",
        },
        {"headline": "Exchange to close early on Friday", "source": "exchange", "tickers": []},
    ),
)
