"""Plain ticks of Event v1, as its declaration has them."""

from __future__ import annotations

from typing import Final

from codec.ticks import TickFormat
from contracts.event import FIELDS, NEEDED_BY_TICKS, TICK
from contracts.record import Records
from native.json_fields import Part, Scanner
from native.json_scan import scan

_READ: Final = [FIELDS[name] for name in (*TICK, "ver")]
_KEPT: Final = ("src_ts", *(name for name in TICK if name not in ("src_ts", "kind")))  # the kind is the same for all

EVENT_TICKS: Final = TickFormat(
    Scanner(Part(_READ, required=NEEDED_BY_TICKS, only={"kind": "tick"}), {name: name for name in _KEPT})
)

scan(Records.of([]), EVENT_TICKS.scanner, 0)  # loads the compiled code at import, rather than with the first event
