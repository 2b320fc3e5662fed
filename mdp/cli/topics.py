"""`mdp topics`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
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


@app.command(epilog=examples("mdp topics apply", "mdp topics apply --set bus.kafka.brokers=kafka:9092"))
def apply(config: Config = None, overrides: Set = None, file: File = None) -> None:
    """Create missing topics, and report where existing ones differ from the file.

    Those of normalize need not be in the file: they have its defaults.
    Existing topics are never changed; the exit code is 1 if one differs.
    """
    from flows.config_file import config_path
    from mdp.ops import topics

    settings = settings_of(config, overrides)
    wanted = topics.load(file or topics.find_file(config or config_path()), _of_normalize(settings))
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


def _print(reports: list[TopicReport]) -> None:
    rows = []
    for report in reports:
        state = "missing" if report.partitions is None else "created" if report.is_new else "exists"
        state = "differs" if report.drift and report.partitions is not None else state
        said = "; ".join((*report.drift, *report.warnings, *report.notes))
        rows.append((report.name, state, report.partitions, report.replication, said))
    print_table(("topic", "state", "partitions", "replication", "remarks"), rows)
