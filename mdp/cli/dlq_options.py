"""Options that choose records of the DLQ."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Reason = Annotated[
    Literal[
        "undecodable",
        "contract",
        "future",
        "unsupported",
        "too_many_symbols",
        "too_many_providers",
        "mapping",
        "unmapped",
        "store",
        "unknown",
    ]
    | None,
    typer.Option("--reason", help="Only with this reason; unknown: records not written by the pipeline."),
]
Contains = Annotated[
    str | None, typer.Option("--contains", metavar="TEXT", help="Only with this text in error, key or payload.")
]
FailedFrom = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Only refused at this time or later, such as today or now-1h."),
]
FailedTo = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only refused before this time.")]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="Only of this partition of the DLQ.")]
Offset = Annotated[int | None, typer.Option("--offset", min=0, help="Only at this offset of the DLQ.")]
