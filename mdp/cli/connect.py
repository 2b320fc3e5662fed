"""`mdp connect`: feeds in."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mdp.cli import connect_backfill
from mdp.cli.connect_options import ConnectorName, Given, Symbols, symbols_of
from mdp.cli.options import AsJson, Config, examples, settings_of
from mdp.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from connectors.runtime.health import Health
    from mdp.ops.connect.checking import Findings
    from mdp.ops.connect.dry_run import Shown

app = typer.Typer(help="Feeds in: connectors to venues, and to any API by a manifest.", no_args_is_help=True)

_NS_PER_S: Final = 1_000_000_000


def _duration(text: str) -> float:
    from contracts.duration import parse_duration

    try:
        return parse_duration(text) / _NS_PER_S
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command("list", epilog=examples("mdp connect list"))
def list_connectors(*, as_json: AsJson = False) -> None:
    """List the connectors: what each emits, and what it needs."""
    from connectors.registry import installed

    found = [one.manifest for one in installed()]
    if as_json:
        print_json([manifest.model_dump(mode="json", exclude={"mapping"}) for manifest in found])
        return
    rows = []
    for manifest in found:
        kinds = [one.schema_ref.rpartition("schemas/")[2] for one in manifest.emits]
        emits = ", ".join(kinds) or "what your manifest says"
        needs = [*manifest.requires.secrets, *([f"mdp[{manifest.extra}]"] if manifest.extra else ())]
        rows.append((manifest.connector_id, manifest.version, emits, ", ".join(needs) or None, manifest.description))
    print_table(("connector", "version", "emits", "needs", "what it takes in"), rows)


@app.command(
    epilog=examples(
        "mdp connect run --connector ./acme.yaml --symbols BTC-USD,ETH-USD",
        "mdp connect run --connector ./acme.yaml --symbols BTC-USD --dry-run --for 10s",
        "mdp connect run --connector ingest --set port=8710",
    )
)
def run(
    *,
    connector: ConnectorName,
    symbols: Symbols = None,
    given: Given = None,
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="TIME", parser=_duration, help="End after this time, such as 60s.")
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Print the envelopes, and send nothing; needs no Kafka.")
    ] = False,
    config: Config = None,
) -> None:
    """Take a feed in: connect, normalize, and send to the topics of the types.

    It connects again as often as it takes, and waits while Kafka is away.
    What is refused goes to the DLQ. Ctrl-C and SIGTERM end it once Kafka has
    all that was taken in.
    """
    from flows.config_file import load
    from mdp.ops.connect import running
    from mdp.ops.connect.preparing import Order, prepared, split_options
    from mdp.runtime.log_format import start_logging

    options, overrides = split_options(connector, given or [])
    order = Order(connector=connector, symbols=symbols_of(symbols), options=options)
    settings = load(config, overrides) if dry else settings_of(config, overrides)
    ready = prepared(settings, order)
    start_logging(settings)
    if dry:
        health = running.dry_run(settings, ready, _show, seconds=seconds)
    else:
        health = running.run(settings, ready, seconds=seconds)
    _say_end(health, dry=dry)


@app.command(epilog=examples("mdp connect check ./acme.yaml --sample recorded.ndjson"))
def check(
    *,
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="A manifest's file, or the name of a connector.")],
    sample: Annotated[
        Path | None, typer.Option("--sample", metavar="FILE", help="Raw messages of the source, one a line.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Check a manifest, and say what becomes of recorded messages; exit 1 if any is refused."""
    from connectors.registry import find
    from flows.config_file import load
    from mdp.ops.connect.checking import checked
    from mdp.ops.connect.preparing import normalizer_of

    found = find(manifest)
    found.load()
    normalizer = normalizer_of(load(config, []), found.manifest, found.manifest.mapping, found.manifest.connector_id)
    if sample is None:
        remark(f"{manifest} is valid: {', '.join(kind.id for kind in normalizer.kinds)}")
        return
    findings = checked(normalizer, sample)
    _print_json(findings) if as_json else _print(findings)
    if findings.refused:
        raise typer.Exit(1)


connect_backfill.register(app)


def _show(shown: Shown) -> None:
    from telemetry.printable import printable_json

    if shown.refusal:
        remark(f"refused: {shown.refusal}: {shown.value[:200].decode('ascii', 'backslashreplace')}")
    else:
        typer.echo(printable_json(shown.value.decode()))


def _say_end(health: Health, *, dry: bool) -> None:
    counts = {"refused": health.refused, "dropped": health.dropped, "disconnects": health.disconnects}
    more = "".join(f", {count:,} {name}" for name, count in counts.items() if count)
    remark(f"{health.taken:,} messages {'shown' if dry else 'in Kafka'}{more}")


def _print_json(findings: Findings) -> None:
    print_json(
        {
            "read": findings.read,
            "accepted": dict(findings.accepted),
            "skipped": findings.skipped,
            "refused": dict(findings.refused),
            "examples": findings.examples,
            "errors": findings.errors,
        }
    )


def _print(findings: Findings) -> None:
    rows: list[tuple[str, int]] = [(f"accepted: {kind}", count) for kind, count in findings.accepted.items()]
    rows += [("skipped", findings.skipped)] if findings.skipped else []
    rows += [(f"refused: {reason}", count) for reason, count in findings.refused.items()]
    print_table(("raw messages", "count"), [("read", findings.read), *rows])
    shown = [
        (
            one["event_type"],
            one["event_time"],
            one.get("sequence"),
            ", ".join(f"{k}={v}" for k, v in one["payload"].items()),
        )
        for envelopes in findings.examples.values()
        for one in envelopes
    ]
    if shown:
        print_table(("type", "event time", "sequence", "payload"), shown, title="for example")
    errors = [(reason, number, error) for reason, known in findings.errors.items() for number, error in known]
    if errors:
        print_table(("refused", "message", "why"), errors, title="the first of each reason")


def _example(envelope: dict[str, Any]) -> tuple[object, ...]:
    payload = ", ".join(f"{name}={value}" for name, value in envelope["payload"].items())
    return envelope["event_type"], envelope["event_time"], envelope.get("sequence"), payload
