"""What the market dataflow reads: how the records of its topic are decoded, and heartbeats written to it."""

from __future__ import annotations

from codec.decode import Decoder
from codec.envelope_ticks import envelope_ticks
from codec.heartbeats import EncodeHeartbeat, envelope_heartbeats, event_heartbeat
from codec.market_batch import MarketDecoder
from codec.market_envelopes import MarketEnvelopeDecoder
from codec.tick_formats import EVENT_TICKS
from codec.ticks import TickFormat
from flows.settings import Settings


def market_decoder(settings: Settings) -> MarketDecoder:
    """Decodes records of the events topic."""
    window_ns, max_future_ns = settings.micro_batch.window_ns, settings.micro_batch.max_future_ms * 1_000_000
    if settings.market.input == "events":
        return Decoder(window_ns, max_future_ns)
    return MarketEnvelopeDecoder(window_ns, max_future_ns, settings.market.price)


def tick_format(settings: Settings) -> TickFormat:
    """The form of plain ticks on the events topic."""
    return EVENT_TICKS if settings.market.input == "events" else envelope_ticks(settings.market.price)


def heartbeat_encoder(settings: Settings, flow: str) -> EncodeHeartbeat:
    """Heartbeats for the events topic, as `flow` writes them."""
    return event_heartbeat if settings.market.input == "events" else envelope_heartbeats(flow)
