import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.config_file import load
from mdp.cli import main
from mdp.doctor.examination import LANES, Lane, examine
from mdp.doctor.findings import Finding, ok
from mdp.doctor.site import Site
from tests.doctor.doctor_site import Send, tick

NOTES = {"workers", "TimescaleDB"}  # no port is given, and this PostgreSQL is a plain one


def test_with_a_sound_deployment_nothing_is_wrong(site: Site, send: Send) -> None:
    send([(0, tick("AAPL")), (1, tick("SPY")), (1, tick("AAPL", provider="another"))])
    watched: list[str] = []
    report = examine(site, watched.append)
    assert {finding.level for name, finding in report if name not in NOTES} == {"ok"}, report
    assert {name for name, finding in report if finding.level == "note"} == NOTES
    assert sorted(watched) == sorted(name for lane in LANES for name in lane.checks)


def test_whatever_is_away_the_end_comes_in_time_and_says_what_was_not_checked(site: Site) -> None:
    nowhere = ["bus.kafka.brokers=127.0.0.1:1", "store.url=postgresql://127.0.0.1:1/x"]
    away = Site(load(site.config, nowhere), site.config, workers=1, sample=1)
    before = time.monotonic()
    report = dict(examine(away, lambda _: None, seconds=1.0))
    assert time.monotonic() - before < 3
    assert report["versions"].level == "ok"
    assert (report["database"].level, report["database"].remedy) == ("wrong", "start it, or set store.url")
    assert report["schema"].text == "cannot be checked without the database"
    assert report["topics"].text == "no answer within 1 s"


def test_every_check_is_explained() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([^`]+)` \| (?!\[)", page.partition("## mdp doctor")[2], re.MULTILINE) == [
        name for lane in LANES for name in lane.checks
    ]


def test_a_check_that_fails_costs_no_other(site: Site) -> None:
    def broken(_: Site) -> Iterator[Finding]:
        raise RuntimeError("of its own")
        yield

    report = examine(site, lambda _: None, [Lane({"broken": broken, "sound": lambda _: iter([ok("fine")])})])
    assert [(name, one.level, one.text) for name, one in report] == [
        ("broken", "unknown", "RuntimeError: of its own"),
        ("sound", "ok", "fine"),
    ]


def test_people_and_machines_are_told_the_same(
    site: Site, send: Send, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_CONFIG", str(site.config))
    send([(0, tick("AAPL")), (1, tick("AAPL"))])

    def run(*options: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *options])
        return ended.value.code, capsys.readouterr().out

    code, out = run("--json")
    rows = json.loads(out)
    [found] = [row for row in rows if row["level"] == "wrong"]
    assert (code, found["check"]) == (1, "keys")
    assert "AAPL of feed in 0, 1" in found["text"]
    code, out = run()
    assert code == 1
    assert all(row["text"] in out and row["remedy"] in out for row in rows)
    assert "1 thing is wrong" in out
