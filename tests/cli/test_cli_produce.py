import json
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.cli_result import Config, Mdp, Topic

TICK = '{"ver":1,"provider":"p","symbol":"SPY","kind":"tick","src_ts":"2025-10-24T14:02:01Z","c":1.5,"v":2}'
MARKET = ("--provider", "synthetic", "--seed", "7", "--symbols", "5")
FAULTS = ("--duplicates", "0.1", "--out-of-order", "0.1", "--max-delay", "3000", "--malformed", "0.1")


def entries(mdp: Mdp, config: Path, topic: str) -> list[dict[str, object]]:
    result = mdp("stream", "tail", "--topic", topic, "--limit", "10000", "--json", "--config", config)
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.mark.parametrize("encoding", ["json", "msgpack", "arrow"])
def test_what_was_sent_is_what_tail_shows(mdp: Mdp, config: Config, kafka: str, topic: Topic, encoding: str) -> None:
    path, name = config(brokers=kafka), topic(partitions=3)
    count = ("--count", "500", "--encoding", encoding, "--topic", name, "--json")
    result = mdp("stream", "produce", *MARKET, *FAULTS, *count, "--config", path)
    sent = json.loads(result.out)
    assert (result.code, result.err, sent["topic"], sent["good"]) == (0, "", name, 500)
    assert sent["total"] == sent["good"] + sent["duplicates"] + sent["malformed"]
    assert sent["out_of_order"] > 0
    assert 0 < sent["max_disorder_ms"] <= 3000
    found = entries(mdp, path, name)
    assert len(found) == sent["total"]
    values = [entry["value"] for entry in found if isinstance(entry["value"], dict)]
    distinct = {value["event_id"] for value in values if value.get("event_id") and value.get("ver", 1) == 1}
    assert len(distinct) >= 500
    assert min(value["src_ts"] for value in values) == sent["first_src_ts"]


def test_a_market_of_the_past_ends_now_at_the_rate_of_the_config(
    mdp: Mdp, config: Config, kafka: str, topic: Topic
) -> None:
    rate = ("--set", "producers.synthetic.tick_rate=10", "--config", config(brokers=kafka))
    sent = json.loads(mdp("stream", "produce", *MARKET, "--count", "1000", "--topic", topic(), "--json", *rate).out)
    first, last = (datetime.fromisoformat(sent[f"{end}_src_ts"]) for end in ("first", "last"))
    assert last - first == timedelta(seconds=999 / 50)
    assert first < last < datetime.now(UTC) < last + timedelta(hours=1)


def test_a_market_continues_after_the_one_that_the_topic_holds(
    mdp: Mdp, config: Config, kafka: str, topic: Topic
) -> None:
    path, name = config(brokers=kafka), topic(partitions=3)
    options = ("--set", "producers.synthetic.tick_rate=50", "--topic", name, "--json", "--config", path)

    def market(*more: str) -> list[datetime]:
        sent = json.loads(mdp("stream", "produce", *MARKET, *options, *more).out)
        return [datetime.fromisoformat(sent[f"{end}_src_ts"]) for end in ("first", "last")]

    before = market("--count", "500")  # the two seconds up to now
    after = market("--count", "500")
    assert after[0] == before[1] + timedelta(seconds=1 / 250)
    assert after[1] - after[0] == before[1] - before[0]
    assert after[1] < datetime.now(UTC)  # nothing came before its time, which would have been refused
    assert market("--count", "1", "--set", "producers.synthetic.provider=other")[0] > after[1]
    # One provider's market says nothing about another's.
    assert market("--count", "50000", "--set", "producers.synthetic.provider=new")[0] < before[0]


def test_a_markets_prices_go_on_from_where_they_were(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    path, name = config(brokers=kafka), topic(partitions=3)
    wild = ("--count", "100", "--set", "producers.synthetic.price_volatility=10")
    calm = ("--count", "5", "--set", "producers.synthetic.price_volatility=0")
    for options in (wild, calm):
        assert mdp("stream", "produce", *MARKET, *options, "--topic", name, "--config", path).code == 0
    found = [entry["value"] for entry in entries(mdp, path, name)]
    values = sorted((value for value in found if isinstance(value, dict)), key=lambda value: str(value["src_ts"]))
    before, after = ({value["symbol"]: value["c"] for value in part} for part in (values[:100], values[100:]))
    assert after == before
    assert before["SPY"] != 670.0


def test_a_live_market_sends_as_many_as_fit_into_its_time(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    pace = ("--rate", "2000", "--seconds", "0.5", "--topic", topic(), "--json", "--config", config(brokers=kafka))
    assert json.loads(mdp("stream", "produce", *MARKET, *pace).out)["good"] == 1000


def test_a_table_of_what_was_sent_ends_with_the_total(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    result = mdp("stream", "produce", *MARKET, "--count", "20", "--topic", topic(), "--config", config(brokers=kafka))
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in result.out.splitlines() if "│" in line]
    assert cells == [["good", "20"], ["total", "20"]]
    assert "event times 20" in result.out


def test_a_file_is_sent_as_it_is_up_to_the_count(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path
) -> None:
    file, path, name = tmp_path / "ticks.ndjson", config(brokers=kafka), topic()
    file.write_text(f"{TICK}\nnot an event\n{TICK}\n{TICK}\n")
    options = ("--count", "3", "--topic", name, "--json", "--config", path)
    result = mdp("stream", "produce", "--provider", "file", "--path", file, *options)
    assert json.loads(result.out)["unchecked"] == 3
    assert [entry["value"] for entry in entries(mdp, path, name)] == [json.loads(TICK), None, json.loads(TICK)]


def history(file: Path, symbol: str) -> Path:
    start = datetime(2025, 10, 24, 14, tzinfo=UTC)
    rows = [f"p,{symbol},tick,{start + timedelta(seconds=second)},1,1" for second in range(600)]
    file.write_text("\n".join(["provider,symbol,kind,src_ts,c,v", *rows]))
    return file


def test_files_of_one_symbol_each_are_merged_by_time_and_none_of_their_events_is_late(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path
) -> None:
    for symbol in ("A", "B", "C"):
        history(tmp_path / f"{symbol}.csv", symbol)
    options = ("--topic", topic(), "--config", config(brokers=kafka))
    result = mdp("stream", "produce", "--provider", "file", "--path", f"{tmp_path}/?.csv", *options)
    assert (result.code, "1,800 events of 3 symbols from 2025-10-24T14:00:00" in result.err) == (0, True)
    assert "late" not in result.err
    assert "after a newer one" not in result.out


def test_a_file_that_would_be_late_is_sent_only_if_that_is_meant(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path
) -> None:
    file, path, name = history(tmp_path / "a.csv", "A"), config(brokers=kafka), topic()
    options = ("--path", file, "--topic", name, "--json", "--config", path)
    assert mdp("stream", "produce", "--provider", "file", *options).code == 0
    again = mdp("stream", "produce", "--provider", "file", *options)
    assert (again.code, again.out, again.err.count("\n")) == (2, "", 1)
    assert all(words in again.err for words in ("98.0% of the events would be late", "--topic", "--yes"))
    assert len(entries(mdp, path, name)) == 600
    assert mdp("stream", "produce", "--provider", "file", "--yes", *options).code == 0
    assert len(entries(mdp, path, name)) == 1_200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--zone", "Mars/Olympus"], "'Mars/Olympus' is not a time zone"),
        (["--path", "no-*-such.csv"], "no file matches no-*-such.csv"),
        (["--time-unit", "h"], "--time-unit"),
    ],
)
def test_what_is_wrong_with_the_options_of_files_is_told(
    mdp: Mdp, config: Config, tmp_path: Path, options: list[str], words: str
) -> None:
    file = ("--path", history(tmp_path / "a.csv", "A"), "--config", config())
    result = mdp("stream", "produce", "--provider", "file", *file, *options)
    assert (result.code, result.err.count("\n"), words in result.err) == (2, 1, True)


def test_a_topic_that_does_not_exist_is_told_in_one_line(mdp: Mdp, config: Config, kafka: str) -> None:
    path = config(brokers=kafka, topic="no-such-topic")
    result = mdp("stream", "produce", *MARKET, "--count", "1", "--config", path)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "cannot read topic no-such-topic" in result.err
    assert "mdp topics apply" in result.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_all_that_was_sent_accounted_for(
    mdp: Mdp, start: Callable[..., subprocess.Popen[str]], config: Config, kafka: str, topic: Topic, number: int
) -> None:
    path, name = config(brokers=kafka), topic()
    process = start("stream", "produce", *MARKET, "--rate", "500", "--topic", name, "--json", "--config", path)
    while not entries(mdp, path, name):
        assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (128 + number, "")
    assert json.loads(out)["total"] == len(entries(mdp, path, name))
