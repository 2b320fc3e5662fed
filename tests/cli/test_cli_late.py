import json

import pytest

from sinks.schema.migrate import migrate
from tests.cli.cli_result import Config, Mdp, Topic


def test_where_nothing_came_too_late_nothing_is_done(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, database: str
) -> None:
    migrate(database, [])
    path = config(brokers=kafka, url=database, topic=topic(partitions=2), late_topic=topic(partitions=2))
    result = mdp("late", "repair", "--json", "--config", path)
    counts = dict.fromkeys(("late_events", "windows", "bars_changed", "conflicts", "foreign", "lost"), 0)
    assert (result.code, json.loads(result.out), result.err) == (0, counts, "")
    assert "late_events" in mdp("late", "repair", "--config", path).out


def test_what_is_missing_is_said_in_one_line(mdp: Mdp, config: Config, kafka: str, topic: Topic, database: str) -> None:
    late = topic()
    for settings, words in (
        ({"url": database, "topic": late, "late_topic": late}, "run `mdp store migrate` first"),
        ({}, "the database cannot be used"),
    ):
        result = mdp("late", "repair", "--config", config(brokers=kafka, **settings))
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert words in result.err


@pytest.mark.parametrize("command", [("dlq", "inspect"), ("dlq", "redrive"), ("late", "repair")])
def test_an_empty_span_of_time_is_refused(mdp: Mdp, config: Config, command: tuple[str, str]) -> None:
    result = mdp(*command, "--from", "2025-10-25", "--to", "2025-10-24", "--config", config())
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "it must be after --from" in result.err
