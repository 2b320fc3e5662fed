import uuid
from pathlib import Path

import pytest
import yaml

from mdp.ops import topics
from tests.cli.cli_result import Config, Mdp
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_admin import TopicAdmin

KEYS = ("topic", "signals_topic", "bars_topic", "dlq_topic", "late_topic", "replay_topic", "control_topic")


@pytest.fixture
def names() -> dict[str, str]:
    return {key: f"{key}-{uuid.uuid4().hex}" for key in KEYS}


def write(path: Path, **tree: object) -> Path:
    file = path / "topics.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


def rows(out: str) -> dict[str, str]:
    """The lines of the table that tell of a topic, by its name."""
    cells = [line.strip("│ ").split("│") for line in out.splitlines() if line.startswith("│")]
    return {name.strip(): " ".join(" ".join(rest).split()) for name, *rest in cells}


def test_topics_are_created_once_with_what_the_file_says(
    mdp: Mdp, config: Config, kafka: str, names: dict[str, str], tmp_path: Path
) -> None:
    defaults = {"partitions": 3, "replication": 2, "config": {"message.timestamp.type": "LogAppendTime"}}
    own = {names["topic"]: {"partitions": 2, "config": {"retention.ms": 259200000}}}
    write(tmp_path, defaults=defaults, topics={**dict.fromkeys(names.values()), **own})
    path = config(brokers=kafka, **names)
    first, second = (mdp("topics", "apply", "--config", path) for _ in range(2))
    assert (first.code, second.code) == (0, 0), first
    note = "replication 1, not 2: the number of brokers"
    assert rows(first.out) == {name: f"created {2 if name in own else 3} 1 {note}" for name in names.values()}
    assert rows(second.out) == {name: f"exists {2 if name in own else 3} 1 {note}" for name in names.values()}
    found = TopicAdmin(KafkaConfig(brokers=kafka)).settings([names["topic"]])[names["topic"]]
    assert (found["retention.ms"], found["message.timestamp.type"]) == ("259200000", "LogAppendTime")


def test_events_that_bear_the_time_of_their_producer_are_warned_of(
    mdp: Mdp, config: Config, kafka: str, names: dict[str, str], tmp_path: Path
) -> None:
    own = {names["topic"]: {"config": {"message.timestamp.type": "CreateTime"}}}
    write(tmp_path, topics={**dict.fromkeys(names.values()), **own})
    result = mdp("topics", "apply", "--config", config(brokers=kafka, **names))
    assert result.code == 0
    assert "message.timestamp.type is CreateTime: one event from the future" in rows(result.out)[names["topic"]]
    assert result.out.count("CreateTime") == 1


def test_what_differs_is_reported_and_left_alone(
    mdp: Mdp, config: Config, kafka: str, names: dict[str, str], tmp_path: Path
) -> None:
    path = config(brokers=kafka, **names)
    write(tmp_path, topics=dict.fromkeys(names.values()))
    assert mdp("topics", "apply", "--config", path).code == 0
    changed = {names["bars_topic"]: {"partitions": 4, "config": {"cleanup.policy": "compact"}}}
    file = write(tmp_path, topics={**dict.fromkeys(names.values()), **changed})
    for _ in range(2):
        result = mdp("topics", "apply", "--config", path, "--file", file)
        said = "partitions is 1, not 4; cleanup.policy is delete, not compact"
        assert rows(result.out)[names["bars_topic"]] == f"differs 1 1 {said}"
        assert result.code == 1


def test_topics_of_the_config_that_the_file_forgets_are_named(
    mdp: Mdp, config: Config, kafka: str, names: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, topics={name: None for key, name in names.items() if key != "bars_topic"})
    result = mdp("topics", "apply", "--config", config(brokers=kafka, **names))
    said = "missing - - does not exist: named by bus.kafka.bars_topic, but not in topics.yaml"
    assert (result.code, rows(result.out)[names["bars_topic"]]) == (1, said)


def test_output_topics_that_are_too_narrow_are_named(
    mdp: Mdp, config: Config, kafka: str, names: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, topics={**dict.fromkeys(names.values()), names["topic"]: {"partitions": 2}})
    result = mdp("topics", "apply", "--config", config(brokers=kafka, **names))
    assert result.code == 1
    assert result.out.count(f"1 partitions are fewer than the 2 of {names['topic']}") == 4


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"topics": {"a": {"partitons": 2}}}, "topics.a.partitons"),
        ({"topics": {"a": {"partitions": 0}}}, "topics.a.partitions"),
        ({"topics": {"a": {"config": {"retention.hours": 1}}}}, "Unknown topic config name: retention.hours"),
        ({"topics": {"no/such/name": None}}, "cannot create topic no/such/name"),
        ({}, "topics"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_one_line(
    mdp: Mdp, config: Config, kafka: str, tmp_path: Path, tree: dict[str, object], words: str
) -> None:
    write(tmp_path, **tree)
    result = mdp("topics", "apply", "--config", config(brokers=kafka))
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert words in result.err


def test_the_projects_own_file_holds_all_topics_of_its_own_config() -> None:
    own = topics.load(topics.find_file(Path("nowhere/streaming.yaml")))
    defaults = KafkaConfig.model_fields
    assert {defaults[key].default for key in KEYS} <= own.keys()
    assert all(topic.config["message.timestamp.type"] == "LogAppendTime" for topic in own.values())


@pytest.mark.parametrize(
    ("naming", "trades", "quotes"),
    [
        ("utp", "utp.{env}.desk.trades.tick", "utp.{env}.desk_eu.quotes.tick"),
        ("ampy", "ampy.{env}.trades.v2", "ampy.{env}.quotes.v2"),
        ("plain", "trades.tick", "quotes.tick"),
    ],
)
def test_topics_of_normalize_need_not_be_in_the_file(
    mdp: Mdp, config: Config, kafka: str, names: dict[str, str], tmp_path: Path, naming: str, trades: str, quotes: str
) -> None:
    env = f"e{uuid.uuid4().hex[:8]}"
    write(tmp_path, defaults={"partitions": 2}, topics=dict.fromkeys(names.values()))
    fields = "event_time: t, fields: { symbol: s, "
    (tmp_path / "trades.yaml").write_text(f"{{ type: trades/v2, {fields} price: p, size: q }} }}")
    (tmp_path / "quotes.yaml").write_text(f"{{ type: quotes/v2, {fields} bid: b }} }}")
    path = config(brokers=kafka, **names)
    sources = [
        {"topic": f"raw.{env}.a", "mapping": "trades.yaml", "source_id": "a"},
        {"topic": f"raw.{env}.b", "mapping": "quotes.yaml", "source_id": "b", "realm": "desk_eu"},
    ]
    tree = yaml.safe_load(path.read_text())
    messages = {"env": env, "realm": "desk", "naming": naming}
    path.write_text(yaml.safe_dump({**tree, "messages": messages, "normalize": {"sources": sources}}))
    result = mdp("topics", "apply", "--config", path)
    assert result.code == 0, result
    wanted = [f"raw.{env}.a", f"raw.{env}.b", trades.format(env=env), quotes.format(env=env)]
    assert {name: rows(result.out)[name].split()[1] for name in wanted} == dict.fromkeys(wanted, "2")
