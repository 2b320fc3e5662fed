"""A table that was dropped ends the flow with a line; in an empty database the flow computes everything again."""

from __future__ import annotations

import psycopg
import pytest

from mdp.local import LocalStack
from sinks.missing_tables import RESTORE
from tests.harness import Deployments, assert_same, create_database
from tests.market import FEATURES, PARTITIONS, RULES, market_topic


@pytest.mark.slow
def test_an_empty_database_gets_what_the_dropped_table_had(stack: LocalStack, deploy: Deployments) -> None:
    events = market_topic(stack.kafka.bootstrap, 20_000, symbols=8)
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="dropped")
    flow.run()
    tables, output = flow.tables(), flow.output()
    assert tables["signals"]
    with psycopg.connect(flow.database) as owner:
        owner.execute("DROP TABLE signals")
    for command in (("stream", "run", "--until-end"), ("store", "migrate")):
        code, said = flow.mdp(*command)
        assert (code, RESTORE in said) == (2, True), said
    flow.database = create_database(stack)
    flow.configure(flow.sections)
    flow.run()
    assert_same(flow.tables(), tables)
    assert_same(flow.output(), output)
