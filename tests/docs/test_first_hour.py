"""The pages of the first hour, command by command and in their order: they succeed, and print what the pages show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.page_blocks import PROJECT, Block, blocks

QUICKSTART, TUTORIAL, EXTENDING = (
    [*blocks((PROJECT / "docs" / f"{name}.md").read_text(encoding="utf-8"))]
    for name in ("quickstart", "tutorial", "extending")
)
INSTALLED = "make setup\n. .venv/bin/activate\n"
GO_ON = {"mdp serve\n", "mdp stream run\n"}  # until somebody stops them, as does a market with a --rate
SECONDS = 300.0


class Reader:
    """Somebody who copies blocks into a shell and into files, in a checkout of mdp at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mdp"
        self._place = folder / "place"
        shutil.copytree(PROJECT / "tests" / "data", self.folder / "tests" / "data")
        site = folder / "site"  # stands for what `pip install` puts into the environment
        installed = site / "trades-0.1.0.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: trades\nVersion: 0.1.0\n")
        (installed / "entry_points.txt").write_text("[mdp.evaluators]\ntrades = trades.evaluator:make\n")
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("MDP_", "KAFKA_", "DATABASE_"))
        }
        self._environment = own | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, (site, folder / "trades", PROJECT))),
            "MDP_HOME": str(folder / "home"),
        }

    def runs(self, commands: str) -> str:
        """What the commands print."""
        done = subprocess.run(
            ["sh", "-e"],
            input=f"pip() {{ :; }}\n{commands}\npwd > {self._place}\n",
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{commands}{done.stdout}"
        self.folder = Path(self._place.read_text(encoding="utf-8").strip())
        return done.stdout

    def follows(self, page: list[Block], *, exactly: bool) -> None:
        """Runs the commands of a page, and compares what they print with what is shown after them."""
        for block, after in pairwise([*page, Block("", "", "")]):
            if block.language == "yaml":
                self._saves(block.text)
            if block.language == "python":
                self.runs(f"python - <<'END'\n{block.text}END\n")
            if block.language == "sh" and block.text not in GO_ON and "--rate" not in block.text:
                shown = after.text.splitlines() if after.language == "text" else []
                printed = self.runs(block.text)
                expected = "\n".join(pattern(line, exactly=exactly) for line in shown).replace("…\n", "…")
                assert re.search(expected.replace("…", ".*?"), printed, re.DOTALL), f"{block.text}\n{printed}"

    def _saves(self, text: str) -> None:
        name = re.match(r"# (\S+)\n", text)
        assert name is not None, text
        (self.folder / name[1]).write_text(text, encoding="utf-8")


def pattern(line: str, *, exactly: bool) -> str:
    """What a line may be where numbers beside a time, such as prices, are others each day, unless it is so exactly."""
    found = re.escape(line)
    if exactly:
        return found
    if re.search(r"\d{4}-\d\d-\d\dT", line):
        found = re.sub(r"\d[\d.]*(?:\\\.\d+)*", r"[\\d.]+", found)
    return re.sub(r"(?:\\ )+", r"\\s+", found)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.runs("mdp down")


@pytest.mark.slow
def test_the_quickstart_prints_what_it_shows_and_a_model_can_be_fitted_to_what_it_leaves(reader: Reader) -> None:
    reader.follows(
        [block for block in QUICKSTART if block.text != INSTALLED and block.title != "Tidy up"], exactly=False
    )
    reader.follows([block for block in EXTENDING if block.title == "A scikit-learn model"], exactly=False)
    assert "sklearn" in reader.runs("mdp store signals --run model --symbol SPY --format csv")


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(reader: Reader) -> None:
    reader.follows(TUTORIAL, exactly=True)


def test_the_candle_of_the_tutorial_is_the_exchanges_own() -> None:
    answer = json.loads((PROJECT / "tests" / "data" / "kraken_xbtusdt_ohlc_1m.json").read_text(encoding="utf-8"))
    candles = answer["result"]["XBTUSDT"]
    shown = [json.loads(block.text) for block in TUTORIAL if block.language == "json"]
    assert shown
    assert all(candle in candles for candle in shown)
