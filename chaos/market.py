"""The config of the runs: windows, features and rules, and a load with every outcome."""

from __future__ import annotations

from typing import Any, Final

MS: Final = 1_000_000
WINDOW_NS: Final = 1_000 * MS
ALLOW_LATE_NS: Final = 500 * MS
AMEND_NS: Final = 500 * MS
MAX_FUTURE_NS: Final = 5_000 * MS

RETURN_NS: Final = 3 * WINDOW_NS
VWAP_NS: Final = 5 * WINDOW_NS
SPAN_NS: Final = max(2 * RETURN_NS, VWAP_NS)

RISING: Final = "rising"
CHEAP: Final = "cheap"

EVENTS: Final = "mdp.events"
SIGNALS: Final = "mdp.signals"
PARTITIONS: Final = 4
SYMBOLS: Final = 100

SECTIONS: Final[dict[str, Any]] = {
    "name": "chaos",
    "micro_batch": {
        "window_ms": WINDOW_NS // MS,
        "allow_late_ms": ALLOW_LATE_NS // MS,
        "amend_ms": AMEND_NS // MS,
        "max_future_ms": MAX_FUTURE_NS // MS,
    },
    "features": {
        "windows": [
            {"name": "ret_3s", "horizon": f"{RETURN_NS // 10**9}s"},
            {"name": "vwap_5s", "horizon": f"{VWAP_NS // 10**9}s"},
        ]
    },
    "recovery": {"interval_s": 5},
    "telemetry": {"metrics_port": 0},
}
RULES: Final[list[dict[str, Any]]] = [
    {"name": CHEAP, "condition": "close < vwap_5s", "signal": 1.0, "score": 0.5},
    {"name": RISING, "condition": "ret_3s > 0", "signal": 1.0, "score": 0.5, "emit": "edge"},
]

# A delayed event amends its bar or is late, each often enough to count.
LOAD: Final = ("--duplicates", "0.02", "--out-of-order", "0.05", "--max-delay", "1700", "--malformed", "0.001")
