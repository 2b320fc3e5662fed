"""The summary of a run: what was sent, its outcomes, and the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mdp.demo.account import Check, Found
from transports.outgoing import Sent

_LOOK_AROUND: Final = """
The results stay until the next demo; with the local stack up (mdp up):
  DATABASE_URL='{database}' mdp store bars --symbol SPY
  mdp stream tail --topic demo.signals --limit 10
"""


def show(console: Console, sent: Sent, found: Found, results: Sequence[Check], database: str) -> None:
    """Print what was sent, its outcomes, the checks, and how to examine the results in `database`, a URL."""
    outcomes = found.outcomes
    amounts = {
        "Sent": {"good": sent.good, "sent again": sent.duplicates, "malformed": sent.malformed},
        "Became": {name: count for name, count in asdict(outcomes).items() if name != "heartbeat"},
        "Stored": {"bars": found.bars, "features": found.features, "signals": found.signals},
    }
    for label, parts in amounts.items():
        text = ", ".join(f"{amount:,} {name}" for name, amount in parts.items())
        console.print(Text.assemble((f"{label:8}", "bold cyan"), text), soft_wrap=True)
    console.print()
    console.print(_table(results))
    console.print(Text(_LOOK_AROUND.format(database=database), style="dim"), soft_wrap=True)


def _table(results: Sequence[Check]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for justify in ("left", "right", "left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for check in results:
        mark, sign, style = ("✓", "=", "green") if check.holds else ("✗", "≠", "bold red")
        table.add_row(
            Text(mark, style=style),
            f"{check.expected:,}",
            check.expected_what,
            Text(sign, style=style),
            f"{check.found:,}",
            check.found_what,
        )
    return table
