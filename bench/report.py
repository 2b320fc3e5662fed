"""`python -m bench.report`: bench/results.json as docs/benchmarks.md, with its plots."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench import plots
from bench.results import load
from bench.summary import COMPARED
from bench.verdict import GROWING, measured, targets

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "benchmarks.md"

HEAD = """# Benchmarks

```sh
make bench-quick      # 3 minutes at most: fewer events, one round, no Quix Streams
make bench            # 15 minutes at most: everything but latency and growth
make bench-latency    # live, 3 minutes at 10,000 and at 100,000 events/s
make bench-growth     # increases one parameter at a time
```

Each starts its own Kafka and PostgreSQL, writes its results to `bench/results.json`, and generates this page from them.
CPU time comes first, because it says what a machine has to provide; wall time depends on the other load of the machine.
"""
JOB = """## The job

{events:,} JSON events of about 290 bytes and 500 symbols on 4 partitions, 1 % of them duplicates and 1 % out of order.
*Bars*: drop duplicates, aggregate bars of 2 s with a grace period of 500 ms, and write them to PostgreSQL. *Full job*:
also the eight rolling features of `configs/streaming.yaml` and the five rules of `configs/rules.yaml`, features and
signals in PostgreSQL, and the signals topic: here {features:,} rows of features and {signals:,} signals. The jobs of
mdp save their state at the default interval, and write exactly once. *Arrow*: the same events, 1,000 in a record. The
peers read {peers_events:,} events of the same kind.

CPU time is that of all threads, in user and kernel mode, from the creation of the first consumer to the last commit,
without imports and start-up; the last column includes these, as accounted by the kernel for the whole process. The
contenders run one after the other, in {rounds} interleaved rounds, fewer for the peers. Figures are medians, with the
minimum and maximum in brackets. "Correct" means that every bar equals a reference; for the full job, the features are
counted too.

- **floor**: confluent-kafka reads every record, msgspec decodes it, and the result is discarded.
- **Bytewax as documented**: `KafkaSource`, `json.loads`, and `fold_window` with an `EventClock`. This clock advances
  with the machine's time between events, so in a replay windows close before all their events were read.
- **Bytewax, frozen clock, unordered**: a clock that does not advance by itself, `ordered=False`, and msgspec instead of
  `json.loads`, which is the fairer comparison. Neither variant saves its state.
- **Quix Streams**: `tumbling_window(...).reduce(...).final()`, with the default state and changelog topics, and its
  sink for PostgreSQL. It leaves the last windows of a symbol open; they are excluded from its comparison.
"""
WIDTH = 120
UNDATED = ("comparisons", "job")  # of the same run as the contenders
QUICK = "\n**A quick run: these figures say little about the targets.**\n"


def main() -> None:
    results = load()
    (PROJECT / "docs" / "images").mkdir(exist_ok=True)
    plots.main()
    PAGE.write_text(page(results), encoding="utf-8")


LATENCY: Final = """## Latency

Live, from producing the event that closes a window to consuming the window's signal from the topic, and to its bar
being visible to another connection. The *floor* runs under the same load without computing anything: a consumer that
reads the time of each event, and at the close of a window commits a signal for each partition and a synthetic bar for
each symbol. It measures the cost of Kafka, PostgreSQL, the load and the measurement itself on the shared cores.

![Quantiles of latency at each rate](images/bench-latency.svg)

"""


def page(results: Mapping[str, Any]) -> str:
    """All available sections."""
    parts: dict[str, Callable[[Any], str]] = {
        "contenders": lambda found: contenders(found, results["job"]),
        "comparisons": comparisons,
        "latency": latency,
        "growth": growth,
        "sink": sink,
        "persist": persist,
        "start": start,
        "inference": inference,
        "normalize": normalize,
    }
    sections = [part(results[name]) for name, part in parts.items() if name in results]
    return "\n".join([HEAD, where(results), summary(results), *sections])


def where(results: Mapping[str, Any]) -> str:
    """The machine, the versions, and the dates."""
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    days: dict[str, list[str]] = {}
    for name, at in results["measured"].items():
        if name not in UNDATED:
            days.setdefault(at[:10], []).append(name)
    dates = "; ".join(f"{', '.join(names)} on {day}" for day, names in days.items())
    text = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; {packages}."
    return textwrap.fill(f"Measured: {dates}; {text}", WIDTH, break_on_hyphens=False) + "\n"


def summary(results: Mapping[str, Any]) -> str:
    """The targets, and whether they are met."""
    judged = targets(results)
    missed = [target for target in judged if not target.holds]
    lines = [[one.what, one.asked, one.found, "yes" if one.holds else "**no**"] for one in judged]
    verdict = f"{len(judged) - len(missed)} of {len(judged)} targets are met."
    short = "".join(f"\n- Target missed: {one.what}: {one.found}, target {one.asked}." for one in missed)
    return f"## Targets\n\n{verdict}\n{short}\n\n{table(['', 'Target', 'Measured', 'Met'], lines)}"


def contenders(found: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    floor = found["floor"]["cpu_s_per_m"]
    cpu, wall = [], []
    for one in COMPARED:
        mine = found.get(one.name)
        if mine is None:
            continue
        low, high = mine["cpu_s_per_m_range"]
        right = "-" if one.job == "read" else _right(mine)
        cost, whole = mine["cpu_s_per_m"], mine["cpu_s_per_m_with_start"]
        cpu.append([one.title, f"{cost:.2f} ({low:.2f}-{high:.2f})", f"{cost / floor:.2f}", right, f"{whole:.2f}"])
        low, high = mine["events_per_s_range"]
        wall.append([one.title, f"{mine['events_per_s']:,} ({low:,}-{high:,})", f"{mine['rss_mb']:,}"])
    head = ["", "CPU-s per 1M events", "relative to the floor", "Correct?", "with start-up"]
    return "\n".join(
        [
            JOB.format(**found["full"] | job),
            QUICK if job["quick"] else "",
            "## CPU\n\n![CPU seconds per million events of each contender](images/bench-contenders.svg)\n",
            table(head, cpu),
            "## Rate and memory\n",
            table(["", "events/s, wall time", "resident, MB"], wall),
        ]
    )


def _right(mine: Mapping[str, Any]) -> str:
    if mine["correct"]:
        return "yes"
    low, high = mine["volume_lost"]
    return f"no: {mine['missing']:,} bars missing, {mine['wrong']:,} wrong, {low:.1%} to {high:.1%} of the volume lost"


def comparisons(found: Mapping[str, Any]) -> str:
    two = found["two_workers"]
    text = (
        f"Two worker processes do the full job with {two['cpu_s_per_m']:.2f} CPU-s per 1M events, "
        f"{two['cpu_of_one']:.2f} times one worker's, at {two['rate_of_one']:.2f} times its rate, with Kafka and "
        f"PostgreSQL on the same cores. The bars job on the topic of the peers takes "
        f"{found['bars_short']['cpu_s_per_m_with_start']:.2f} CPU-s per 1M events, start-up included."
    )
    return textwrap.fill(text, WIDTH) + "\n"


def latency(found: Mapping[str, Any]) -> str:
    lines = []
    for rate, at in found.items():
        for who, one in (("mdp", at), ("floor", at.get("floor"))):
            if one is None:
                continue
            for what, name in (("signal on its topic", "signal_ms"), ("bar visible in PostgreSQL", "bar_ms")):
                quantiles = [f"{one[name][quantile]:.1f}" for quantile in ("p50", "p90", "p99", "max")]
                lines.append([f"{int(rate):,}", who, what, *quantiles, f"{one['windows']:,}"])
    return LATENCY + table(["events/s", "", "ms until", "p50", "p90", "p99", "max", "windows"], lines)


def growth(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    head = ["", "µs per event", "ms per closed window", "snapshot, MB", "snapshot, ms", "resident, MB"]
    text = "## Growth\n\nOne parameter at a time varies from a base case; the dotted line is linear growth.\n\n"
    text += "![Costs along each axis](images/bench-growth.svg)\n\n"
    for axis, points in found.items():
        lines = [[f"{point['value']:,}", *(_cell(point.get(name)) for name in GROWING)] for point in points]
        columns = [0, *(1 + GROWING.index(name) for name in measured(GROWING, points))]
        text += (
            table([axis, *[head[at] for at in columns[1:]]], [[line[at] for at in columns] for line in lines]) + "\n"
        )
    return text


def sink(found: Mapping[str, Any]) -> str:
    return paragraph(
        "Sink",
        f"Bars in batches of 5,000: {found['merge_rows_per_s']:,.0f} rows/s by COPY and merge, "
        f"{found['plain_copy_rows_per_s']:,.0f} rows/s by a plain COPY into the same table, a ratio of "
        f"{found['ratio']:.2f}. A replay of the same rows: {found['replay_rows_per_s']:,.0f} rows/s. New rows only, "
        f"which are copied into the table without a merge: {found['ahead_rows_per_s']:,.0f} rows/s, "
        f"{found['client_us_per_row']:.2f} µs of the worker's CPU per row; a flush of 500 bars then takes "
        f"{found['flush_500_ms']:.1f} ms.",
    )


def persist(found: Mapping[str, Any]) -> str:
    return paragraph(
        "Messages",
        f"`mdp stream persist`, one worker: {found['rows']:,.0f} trades and quotes in envelopes, from Kafka to their "
        f"tables at {found['rows_per_s']:,.0f} rows/s, {found['cpu_us_per_row']:.2f} µs of the worker's CPU per row; "
        f"a plain COPY of the same rows, already encoded: {found['plain_copy_rows_per_s']:,.0f} rows/s, a ratio of "
        f"{found['ratio']:.2f}.",
    )


def start(found: Mapping[str, Any]) -> str:
    return paragraph(
        "Start",
        f"`mdp --help` takes {found['help_s']:.2f} s, a worker with rules {found['first_batch_s']:.2f} s "
        f"from its start to its first batch, with a warm disk.",
    )


def inference(found: Mapping[str, Any]) -> str:
    forest = ", ".join(f"{_cell(value)} ms over {symbols}" for symbols, value in found["forest_ms"].items())
    return paragraph(
        "Inference",
        f"Per window close of 1,000 symbols: rules {found['rules_1000_ms']:.2f} ms, scaler and "
        f"logistic regression {found['logistic_1000_ms']:.2f} ms, a forest of 100 trees {forest} symbols.",
    )


def normalize(found: Mapping[str, Any]) -> str:
    return paragraph(
        "Normalizing",
        f"Raw messages in the form of a venue to canonical envelopes, with validation, ids and checksums, per second "
        f"of one core: {found['trades_per_s']:,.0f} trades, {found['quotes_per_s']:,.0f} quotes.",
    )


def paragraph(heading: str, text: str) -> str:
    return f"## {heading}\n\n{textwrap.fill(text, WIDTH)}\n"


def _cell(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) and value < 100 else f"{value:,.0f}" if value else "-"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are right-aligned."""
    rule = "|---|" + "---:|" * (len(head) - 1)
    rows = ["| " + " | ".join(line) + " |" for line in (head, *lines)]
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


if __name__ == "__main__":
    main()
