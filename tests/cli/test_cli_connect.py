from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.cli_result import Config, Mdp
from tests.connectors.venue import MANIFEST, Venue, trades


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    file = tmp_path / "acme.yaml"
    file.write_text(MANIFEST, encoding="utf-8")
    return file


def run(mdp: Mdp, config: Config, connector: Path | str, *arguments: str) -> str:
    """The one line that a command ends with which cannot run."""
    ran = mdp("connect", "run", "--connector", connector, "--config", config(), *arguments)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    return line


def test_connectors_are_listed_with_what_they_emit_and_need(mdp: Mdp) -> None:
    ran = mdp("connect", "list")
    assert ran.code == 0
    assert "ingest" in ran.out
    assert "INGEST_TOKEN" in ran.out
    listed = {one["connector_id"]: one for one in json.loads(mdp("connect", "list", "--json").out)}
    assert [one["event_type"] for one in listed["ingest"]["emits"]] == ["trades.tick", "quotes.tick"]


def test_an_unknown_connector_is_one_line(mdp: Mdp, config: Config) -> None:
    assert "no connector is called 'ingst'; did you mean ingest?" in run(mdp, config, "ingst")


def test_a_manifest_that_is_not_there_or_is_wrong_is_one_line(mdp: Mdp, config: Config, acme: Path) -> None:
    assert "none.yaml: cannot read the manifest: No such file" in run(mdp, config, "none.yaml")
    acme.write_text(MANIFEST.replace("price: p", "price: p, prize: p"), encoding="utf-8")
    assert "trades/v2 has no such field; did you mean price?" in run(mdp, config, acme)
    acme.write_text(MANIFEST.replace("trades.tick", "trades.ticks"), encoding="utf-8")
    assert "the event_type of trades/v2 is trades.tick, not 'trades.ticks'" in run(mdp, config, acme)


def test_options_symbols_and_settings_are_checked_before_anything_connects(
    mdp: Mdp, config: Config, acme: Path
) -> None:
    assert "option url is missing" in run(mdp, config, acme, "--symbols", "A")
    assert "has no option 'ulr'; did you mean url?" in run(mdp, config, acme, "--set", "ulr=x")
    url = ("--set", "url=ws://127.0.0.1:1")
    assert "needs symbols; name them by --symbols" in run(mdp, config, acme, *url)
    assert "url is no ws:// or wss:// address" in run(mdp, config, acme, "--set", "url=127.0.0.1", "--symbols", "A")
    assert "messages.relm is not a known key" in run(mdp, config, acme, *url, "--set", "messages.relm=x")
    assert "takes no symbols" in run(mdp, config, "ingest", "--symbols", "A")


def test_a_missing_secret_is_one_line_and_may_lie_in_a_file(
    mdp: Mdp, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "INGEST_TOKEN is not set; set the environment variable, or INGEST_TOKEN_FILE" in run(mdp, config, "ingest")
    (tmp_path / "token").write_text("s3cr3t\n", encoding="utf-8")
    monkeypatch.setenv("INGEST_TOKEN_FILE", str(tmp_path / "token"))
    assert "INGEST_TOKEN is shorter than 16 characters" in run(mdp, config, "ingest")
    monkeypatch.setenv("INGEST_TOKEN_FILE", str(tmp_path / "nowhere"))
    assert "INGEST_TOKEN_FILE must name a file that holds the secret" in run(mdp, config, "ingest")


def test_without_kafka_it_says_so(mdp: Mdp, config: Config, acme: Path) -> None:
    line = run(mdp, config, acme, "--symbols", "A", "--set", "url=ws://127.0.0.1:1")
    assert "no Kafka broker answers at 127.0.0.1:1" in line


def test_a_dry_run_prints_envelopes_and_needs_no_kafka(config: Config, acme: Path) -> None:
    with Venue([*trades(3), b"no json"]).server() as server:
        command = [sys.executable, "-c", "from mdp.cli import main; main()", "connect", "run", "--connector", str(acme)]
        command += ["--config", str(config()), "--symbols", "A", "--set", f"url=ws://127.0.0.1:{server.port}/feed"]
        command += ["--dry-run", "--for", "2s"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ, check=False)
    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line)["sequence"] for line in ran.stdout.splitlines()] == [0, 1, 2]
    assert "refused: undecodable" in ran.stderr
    assert "3 messages shown, 1 refused" in ran.stderr


def test_a_manifest_is_tried_on_recorded_messages(mdp: Mdp, acme: Path, tmp_path: Path) -> None:
    sample = tmp_path / "messages.ndjson"
    good = trades(5)
    sample.write_bytes(b"\n".join([*good, b"{no json", good[0].replace(b"100", b'"much"')]))
    ran = mdp("connect", "check", acme, "--sample", sample)
    assert ran.code == 1
    for said in ("accepted: trades/v2", "refused: undecodable", "refused: contract", "symbol=BTC-USD"):
        assert said in ran.out
    found = json.loads(mdp("connect", "check", acme, "--sample", sample, "--json").out)
    assert (found["read"], found["accepted"], found["refused"]) == (
        7,
        {"trades/v2": 5},
        {"undecodable": 1, "contract": 1},
    )
    assert found["errors"]["contract"][0][0] == 7
    sample.write_bytes(b"\n".join(good))
    assert mdp("connect", "check", acme, "--sample", sample).code == 0


def test_a_manifest_is_valid_or_one_line(mdp: Mdp, acme: Path, tmp_path: Path) -> None:
    ran = mdp("connect", "check", acme)
    assert (ran.code, "is valid: trades/v2" in ran.err) == (0, True)
    ran = mdp("connect", "check", acme, "--sample", tmp_path / "none.ndjson")
    assert ran.code == 2
    assert "No such file or directory; name a file of recorded messages" in ran.err
    acme.write_text(yaml.safe_dump(yaml.safe_load(MANIFEST) | {"mapping": []}), encoding="utf-8")
    ran = mdp("connect", "check", acme)
    assert ran.code == 2
    assert "has no mapping" in ran.err
