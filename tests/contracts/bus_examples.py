"""The header sets by which the bus contract shows what a message of each domain looks like."""

from __future__ import annotations

from typing import Any, Final

_COMMON: Final = {"schema_version": "1.0.0", "content_type": "application/x-protobuf"}


def _headers(**given: str) -> dict[str, str]:
    return {**_COMMON, **given}


EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "bars": _headers(
        message_id="018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2",
        schema_fqdn="ampy.bars.v1.BarBatch",
        produced_at="2025-09-05T19:31:01Z",
        producer="yfinance-go@ingest-1",
        source="yfinance-go",
        run_id="run_abc123",
        trace_id="4b5b3f2a0f9d4e3db4c8a1f0e3a7c812",
        partition_key="XNAS.AAPL",
    ),
    "ticks": _headers(
        message_id="018f5e30-1a3b-7f9e-bccc-1e12a1c3e0d9",
        schema_fqdn="ampy.ticks.v1.TradeTick",
        produced_at="2025-09-05T19:30:12.462Z",
        producer="databento-cpp@tick-ingest-3",
        source="databento-cpp",
        run_id="live_0912",
        trace_id="a0c1b2d3e4f5061728394a5b6c7d8e9f",
        partition_key="MSFT.XNAS",
    ),
    "news": _headers(
        message_id="018f5e31-0e1d-7b2a-9f7c-41acef2b9f01",
        schema_fqdn="ampy.news.v1.NewsItem",
        produced_at="2025-09-05T13:05:15Z",
        producer="marketbeat-go@news-2",
        source="marketbeat-go",
        run_id="news_live_37",
        trace_id="f2b1c7d9c4c34b3a9d0e4f5a9e2d8b11",
        partition_key="marketbeat:2025-09-05:amzn-headline-8b12c6",
        dedupe_key="marketbeat:2025-09-05:amzn-headline-8b12c6",
    ),
    "fx": _headers(
        message_id="018f5e31-3c55-76af-9421-fd10ce9bba75",
        schema_fqdn="ampy.fx.v1.FxRate",
        produced_at="2025-09-05T19:30:00Z",
        producer="fxrates-go@fx-1",
        source="fxrates-go",
        run_id="fx_145",
        trace_id="2f0a3c6e9b574c5e8b7a6d5c4b3a2f19",
        partition_key="USD.JPY",
    ),
    "signals": _headers(
        message_id="018f5e32-7f1a-74d2-9a11-b53f54d8a911",
        schema_fqdn="ampy.signals.v1.Signal",
        produced_at="2025-09-05T19:31:03Z",
        producer="ampy-model-server@mdl-1",
        source="ampy-model-server",
        run_id="live_0912",
        trace_id="1c2d3e4f5061728394a5b6c7d8e9fa0b",
        partition_key="hyper@2025-09-05|NVDA.XNAS",
    ),
    "orders": _headers(
        message_id="018f5e32-9b2a-7cde-9333-4f1ab2a49e77",
        schema_fqdn="ampy.orders.v1.OrderRequest",
        produced_at="2025-09-05T19:31:05Z",
        producer="ampy-oms@oms-2",
        source="ampy-oms",
        run_id="live_trading_44",
        trace_id="9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        partition_key="co_20250905_001",
        dedupe_key="co_20250905_001",
    ),
    "fills": _headers(
        message_id="018f5e33-0a1b-71e3-980f-bcaa4c11902a",
        schema_fqdn="ampy.fills.v1.Fill",
        produced_at="2025-09-05T19:31:06Z",
        producer="broker-alpaca@alp-1",
        source="broker-alpaca",
        run_id="live_trading_44",
        trace_id="0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        partition_key="ALPACA-LIVE-01|co_20250905_001",
    ),
    "positions": _headers(
        message_id="018f5e33-4b7d-72ac-8d24-d0a3e1b4c1e3",
        schema_fqdn="ampy.positions.v1.Position",
        produced_at="2025-09-05T19:35:00Z",
        producer="ampy-position-pnl@pnl-1",
        source="ampy-position-pnl",
        run_id="live_trading_44",
        trace_id="1029384756abcdef0123456789abcdef",
        partition_key="ALPACA-LIVE-01|AAPL.XNAS",
    ),
    "metrics": _headers(
        message_id="018f5e34-3b21-7c1f-b8e2-31b9e7fda4d0",
        schema_fqdn="ampy.metrics.v1.Metric",
        produced_at="2025-09-05T19:31:05Z",
        producer="ampy-oms@oms-2",
        source="ampy-oms",
        run_id="live_trading_44",
        trace_id="abcdef0123456789abcdef0123456789",
        partition_key="ampy-oms|oms.order_rejects",
    ),
    "dlq": _headers(
        message_id="018f5e35-0f42-7a31-9e77-1c2a9b11d0ef",
        schema_fqdn="ampy.bars.v1.BarBatch",
        produced_at="2025-09-05T19:31:02Z",
        producer="bus-router@plane-1",
        source="ampy-bus",
        run_id="bus_20250905",
        trace_id="feedfacecafebeef0011223344556677",
        partition_key="XNAS.AAPL",
        dlq_reason="decode_error: invalid decimal scale",
    ),
}
