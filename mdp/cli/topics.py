"""`mdp topics`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdp.cli.options import Config, Set, examples, settings_of
from mdp.cli.output import print_table, remark

if TYPE_CHECKING:
    from flows.settings import Settings
    from mdp.ops.topics import TopicReport

app = typer.Typer(help="The Kafka topics of the pipeline.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        show_default="topics.yaml next to the config",
        help="File with the topics' settings.",
    ),
]


Connectors = Annotated[
    list[str] | None,
    typer.Option("--connector", metavar="NAME", help="The topics that a connector sends to, too. Can be repeated."),
]


@app.command(epilog=examples("mdp topics apply", "mdp topics apply --connector ./acme.yaml"))
def apply(config: Config = None, overrides: Set = None, file: File = None, connectors: Connectors = None) -> None:
    """Create missing topics, and report where existing ones differ from the file.

    Those of normalize and of connectors need not be in the file: they have
    its defaults. Existing topics are never changed; the exit code is 1 if one
    differs.
    """
    from flows.config_file import config_path
    from mdp.ops import topics

    settings = settings_of(config, overrides)
    also = [*_of_normalize(settings), *_of_connectors(settings, connectors or [])]
    wanted = topics.load(file or topics.find_file(config or config_path()), also)
    reports = topics.apply(settings.bus.kafka, wanted)
    _print(reports)
    if any(report.drift for report in reports):
        remark("existing topics are not changed: alter them with Kafka's tools, or change the file")
        raise typer.Exit(1)


def _of_normalize(settings: Settings) -> list[str]:
    """The raw topics, and those of the types that they become."""
    if not settings.normalize.sources:
        return []
    from flows.raw_messages import all_envelope_topics

    return [*settings.normalize.topics, *all_envelope_topics(settings)]


def _of_connectors(settings: Settings, connectors: Sequence[str]) -> list[str]:
    """The topics of the types that connectors emit."""
    from connectors.registry import find
    from contracts.registry import message_type

    kinds = [message_type(one.schema_ref) for name in connectors for one in find(name).manifest.emits]
    return [settings.messages.topic_of(kind) for kind in kinds]


def _print(reports: list[TopicReport]) -> None:
    rows = []
    for report in reports:
        state = "missing" if report.partitions is None else "created" if report.is_new else "exists"
        state = "differs" if report.drift and report.partitions is not None else state
        said = "; ".join((*report.drift, *report.warnings, *report.notes))
        rows.append((report.name, state, report.partitions, report.replication, said))
    print_table(("topic", "state", "partitions", "replication", "remarks"), rows)
