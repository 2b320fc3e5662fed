"""Files of any columns, from the command line: sent, checked, guessed at, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.cli_result import Config, Mdp, Topic
from tests.connectors import dbn_files

DUMP = "id,px,qty,ts,m\n1,42000.2,0.5,1735689600010,false\n2,42000.1,10.25,1735689600999,true\n"
MAP = """
columns:
  provider: { value: acme }
  symbol: { value: BTCUSDT }
  time: { column: ts, unit: ms }
  price: px
  size: qty
  side: { column: m, values: { true: sell, false: buy } }
  sequence: id
"""


@pytest.fixture
def dump(tmp_path: Path) -> tuple[Path, Path]:
    """A file and its map."""
    file, columns = tmp_path / "dump.csv", tmp_path / "map.yaml"
    file.write_text(DUMP)
    columns.write_text(MAP)
    return file, columns


def values(mdp: Mdp, config: Path, topic: str) -> list[dict[str, object]]:
    result = mdp("stream", "tail", "--topic", topic, "--limit", "100", "--json", "--config", config)
    assert (result.code, result.err) == (0, "")
    return [json.loads(line)["value"] for line in result.out.splitlines()]


@pytest.mark.parametrize("encoding", [None, "json"])
def test_a_mapped_file_is_sent_as_events(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, dump: tuple[Path, Path], encoding: str | None
) -> None:
    path, name = config(brokers=kafka), topic(partitions=2)
    more = () if encoding is None else ("--encoding", encoding)
    options = ("--path", dump[0], "--map", dump[1], "--topic", name, "--json", "--config", path, *more)
    sent = json.loads(mdp("stream", "produce", "--provider", "file", *options).out)
    assert (sent["total"], sent["first_src_ts"]) == (2, "2025-01-01T00:00:00.010000Z")
    found = values(mdp, path, name)
    assert [(one["symbol"], one["c"], one["v"], one["seq"], one["provider"]) for one in found] == [
        ("BTCUSDT", 42000.2, 0.5, 1, "acme"),
        ("BTCUSDT", 42000.1, 10.25, 2, "acme"),
    ]


def test_another_type_is_sent_in_envelopes_with_the_same_ids_every_time(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, dump: tuple[Path, Path]
) -> None:
    path, name = config(brokers=kafka), topic(partitions=2)
    options = ("--path", dump[0], "--map", dump[1], "--type", "trades/v2", "--topic", name, "--config", path)
    for _ in range(2):
        result = mdp("stream", "produce", "--provider", "file", *options)
        assert (result.code, "2 events of 1 symbol from 2025-01-01T00:00:00" in result.err) == (0, True)
        assert "late" not in result.err
    found = values(mdp, path, name)
    assert len(found) == 4
    assert len({one["event_id"] for one in found}) == 2
    first = found[0]
    assert (first["schema_ref"], first["source_id"], first["sequence"]) == ("utp://schemas/trades/v2", "acme", 1)
    assert first["payload"] == {"symbol": "BTCUSDT", "price": 42000.2, "size": 0.5, "side": "buy"}


def test_messages_are_counted_and_paced_like_events(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, dump: tuple[Path, Path]
) -> None:
    path, name = config(brokers=kafka), topic()
    options = ("--path", dump[0], "--map", dump[1], "--type", "trades/v2", "--topic", name, "--config", path)
    pace = ("--count", "1", "--rate", "1000", "--json")
    sent = json.loads(mdp("stream", "produce", "--provider", "file", *options, *pace).out)
    assert (sent["total"], sent["good"]) == (1, 1)
    assert [one["sequence"] for one in values(mdp, path, name)] == [1]


def test_each_file_of_a_folder_is_checked_as_what_it_is(mdp: Mdp, dump: tuple[Path, Path]) -> None:
    folder = dump[0].parent / "both"
    folder.mkdir()
    (folder / "a.csv").write_text("provider,symbol,kind,src_ts,c,v\np,SPY,tick,2025-10-24T14:02:01Z,1.5,2\n")
    dbn_files.write(folder / "b.dbn", dbn_files.metadata("trades", dbn_files.ESM2), [dbn_files.trade(10**9)])
    result = mdp("validate", "--dir", folder)
    assert (result.code, result.out.count("1 events, 1 valid, 0 invalid")) == (0, 2)


@pytest.mark.parametrize(
    ("cell", "words"),
    [("px", "has no column pxx; did you mean px?"), ("qty", "dump.csv, row 2: Expected `float` >= 0.0 - at `$.size`")],
)
def test_what_cannot_be_sent_is_one_line(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, dump: tuple[Path, Path], cell: str, words: str
) -> None:
    file, columns = dump
    if cell == "px":
        columns.write_text(MAP.replace("price: px", "price: pxx"))
    else:
        file.write_text(DUMP.replace("0.5", "-0.5"))
    options = (
        "--path",
        file,
        "--map",
        columns,
        "--type",
        "trades/v2",
        "--topic",
        topic(),
        "--config",
        config(brokers=kafka),
    )
    result = mdp("stream", "produce", "--provider", "file", *options)
    assert (result.code, result.out) == (2, "")
    last = result.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--map", "binance-trade"), "did you mean binance-trades?"),
        (("--map", "MAP", "--type", "trade/v2"), "did you mean trades/v2?"),
        (("--map", "MAP", "--type", "quotes/v2"), "columns.price: quotes/v2 has no such field"),
        (("--map", "MAP", "--type", "trades/v2", "--encoding", "arrow"), "trades/v2 travels in envelopes"),
        (("--type", "trades/v2"), "it is for files with a map"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    mdp: Mdp, config: Config, dump: tuple[Path, Path], options: tuple[str, ...], words: str
) -> None:
    given = [str(dump[1]) if one == "MAP" else one for one in options]
    result = mdp("stream", "produce", "--provider", "file", "--path", dump[0], *given, "--config", config())
    assert (result.code, result.err.count("\n"), words in result.err) == (2, 1, True)


def test_a_map_is_for_files(mdp: Mdp, config: Config) -> None:
    result = mdp("stream", "produce", "--provider", "synthetic", "--map", "binance-trades", "--config", config())
    assert (result.code, "it is for --provider file" in result.err) == (2, True)


@pytest.mark.parametrize(("kind", "contract"), [(None, "event"), ("trades/v2", "trades/v2")])
def test_rows_are_checked_as_what_their_map_leads_to(
    mdp: Mdp, dump: tuple[Path, Path], kind: str | None, contract: str
) -> None:
    file, columns = dump
    file.write_text(f"{DUMP}3,dear,1,1735689601000,true\n4,1,-1,1735689601000,true\n5,1,1,1735689601000,maybe\n")
    more = () if kind is None else ("--type", kind)
    result = mdp("validate", "--file", file, "--map", columns, "--json", *more)
    found = json.loads(result.out)
    assert (result.code, found["contract"], found["rows"], found["invalid"]) == (1, contract, 5, 3)
    errors = {one["first"][0]: one["error"] for one in found["findings"]}
    assert errors.keys() == {4, 5, 6}
    assert errors[4] == "price is not a finite number"
    assert errors[6] == "side is none of true, false"


def test_a_guess_that_is_saved_is_a_map(mdp: Mdp, dump: tuple[Path, Path]) -> None:
    file, columns = dump
    proposed = mdp("connect", "guess", file)
    assert proposed.code == 0
    assert "symbol is not in the file" in proposed.err or "first word" in proposed.err
    columns.write_text(proposed.out)
    checked = mdp("validate", "--file", file, "--map", columns)
    assert (checked.code, checked.out.endswith("2 events, 2 valid, 0 invalid\n")) == (0, True)
    nothing = mdp("connect", "guess", file.with_name("none.csv"))
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
