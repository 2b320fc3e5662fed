from pathlib import Path

import pytest
import yaml

from mdp.cli import main
from mdp.ops import tail
from tests.cli.cli_result import Config, Mdp, Result, Start, Topic


def is_one_line(result: Result, *words: str) -> bool:
    is_line = result.err.startswith("error: ") and result.err.count("\n") == 1
    return (result.code, result.out) == (2, "") and is_line and all(word in result.err for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("stream frobnicate", "No such command"),
        ("store bars --rollup 2m", "--rollup"),
        ("store bars --symbol SPY --format xml", "--format"),
        ("store bars --symbol SPY --limit 0", "--limit"),
        ("store bars --symbol SPY --from tomorrow", "such as 2025-10-24T14:02:01Z"),
        ("store bars --symbol SPY --from today --zone Mars/Olympus", "--zone"),
        ("store bars --symbol SPY --from 2025-10-24T14:02:01", "such as 2025-10-24T14:02:01Z"),
        ("store bars --symbol SPY --from 2025-10-24 --to 2025-10-24", "after --from"),
        ("stream run --workers 0", "--workers"),
        ("stream run --from 2025-10-24 --to 2025-10-23", "after --from"),
        ("stream micro-batch --window fast", "not a duration"),
        ("stream produce --provider ibkr", "--provider"),
        ("stream produce --provider file", "--path"),
        ("stream produce --provider file --path ticks.csv --max-delay 5", "--max-delay"),
        ("stream produce --provider synthetic --path ticks.csv", "--path"),
        ("stream produce --provider synthetic --duplicates 1.5", "--duplicates"),
        ("validate --file no-such-file.csv", "is not a file"),
        ("stream tail --config no-such-file.yaml", "No such file"),
        ("topics apply --set micro_batch.window_ms=0", "micro_batch.window_ms = 0"),
        ("stream tail", "run `mdp up`"),
    ],
)
def test_a_mistake_is_told_in_one_line(mdp: Mdp, arguments: str, words: str) -> None:
    result = mdp(*arguments.split())
    assert is_one_line(result, words), result


@pytest.mark.parametrize("flow", ["run", "micro-batch", "infer"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("bus.kafka.topc=x", "--set: bus.kafka.topc is not a known key; did you mean topic?"),
        ("micro_batch.window_ms=0", "--set: micro_batch.window_ms = 0"),
        ("micro_batch.window_ms", "micro_batch.window_ms"),
        ("name=Not A Name", "name"),
        ("inference.adapters.sklearn={enabled: true, model_path: no-such-model.skops}", "no-such-model.skops"),
    ],
)
def test_a_bad_setting_stops_a_flow_before_it_starts(
    mdp: Mdp, config: Config, flow: str, change: str, words: str
) -> None:
    result = mdp("stream", flow, "--config", config(), "--set", change)
    assert is_one_line(result, words), result


def test_a_rule_on_an_unknown_feature_is_named(mdp: Mdp, config: Config, tmp_path: Path) -> None:
    path = config()
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump([{"name": "up", "condition": "moon > 1", "signal": 1, "score": 1}])
    )
    result = mdp("stream", "run", "--config", path)
    assert is_one_line(result, "moon"), result


def test_an_adapter_that_nobody_installed_is_named(mdp: Mdp, config: Config) -> None:
    result = mdp("stream", "infer", "--config", config(), "--adapter", "crystal_ball")
    assert is_one_line(result, "crystal_ball"), result


def test_a_broker_out_of_reach_is_told_by_every_command(start: Start, config: Config) -> None:
    path = config(brokers="127.0.0.1:1")
    commands = ["stream run", "stream tail", "stream produce --provider synthetic --count 1", "topics apply"]
    processes = [start(*command.split(), "--config", path) for command in commands]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert is_one_line(Result(process.returncode, out, err), "no Kafka broker answers at 127.0.0.1:1"), err


@pytest.mark.parametrize("command", ["store migrate", "store bars --symbol SPY"])
def test_a_database_out_of_reach_is_told_without_its_password(mdp: Mdp, config: Config, command: str) -> None:
    path = config(url="postgresql://mdp:hunter2@127.0.0.1:1/market")
    result = mdp(*command.split(), "--config", path)
    assert is_one_line(result, "database", "127.0.0.1"), result
    assert "hunter2" not in result.err


def test_a_flow_without_its_database_is_told(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    names = {key: topic() for key in ("topic", "signals_topic", "bars_topic", "dlq_topic", "late_topic")}
    result = mdp("stream", "run", "--until-end", "--config", config(brokers=kafka, **names))
    assert is_one_line(result, "database"), result


def test_a_topic_that_is_missing_is_named(mdp: Mdp, config: Config, kafka: str) -> None:
    result = mdp("stream", "tail", "--topic", "no-such-topic", "--config", config(brokers=kafka))
    assert is_one_line(result, "no-such-topic", "mdp topics apply"), result


def test_a_database_without_tables_says_how_to_make_them(mdp: Mdp, config: Config, database: str) -> None:
    result = mdp("store", "bars", "--symbol", "SPY", "--config", config(url=database))
    assert is_one_line(result, "mdp store migrate"), result


@pytest.mark.parametrize(("fault", "code"), [(KeyboardInterrupt(), 130)])
def test_an_interrupt_is_no_error(
    mdp: Mdp, config: Config, monkeypatch: pytest.MonkeyPatch, fault: BaseException, code: int
) -> None:
    monkeypatch.setattr(tail, "tail", lambda *_, **__: _raise(fault))
    assert mdp("stream", "tail", "--config", config()) == Result(code, "", "")


@pytest.mark.parametrize("fault", [ZeroDivisionError, ValueError, KeyError, AssertionError])
def test_a_fault_of_the_program_keeps_its_traceback(
    config: Config, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    monkeypatch.setattr(tail, "tail", lambda *_, **__: _raise(fault()))
    with pytest.raises(fault):
        main(["stream", "tail", "--config", str(config())])


def _raise(fault: BaseException) -> None:
    raise fault
