from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mdp.cli import main
from tests.cli.cli_result import Mdp, Result

RULES = [{"name": "up", "condition": "ret_4s > 0", "signal": 1.0, "score": 0.5}]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine get in, and none that a command leaves for its workers get out."""
    monkeypatch.setenv("MDP_CONFIG", "configs/streaming.yaml")
    monkeypatch.setenv("MDP_OVERRIDES", "[]")
    monkeypatch.setenv("MDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("KAFKA_BROKERS", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mdp(capsys: pytest.CaptureFixture[str]) -> Mdp:
    """Runs a command in this process."""

    def run(*arguments: str | Path) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts a command in a process of its own."""

    def spawn(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from mdp.cli import main; main()", *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)

    return spawn


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a config with these topics, broker and database; the rest has its defaults."""

    def write(*, brokers: str = "127.0.0.1:1", url: str = "postgresql://127.0.0.1:1/none", **kafka: str) -> Path:
        rules, path = tmp_path / "rules.yaml", tmp_path / "streaming.yaml"
        rules.write_text(yaml.safe_dump(RULES))
        tree = {
            "bus": {"kafka": {"brokers": brokers, **kafka}},
            "store": {"url": url},
            "features": {"windows": [{"name": "ret_4s", "horizon": "4s"}]},
            "inference": {"adapters": {"rules": {"file": str(rules)}}},
            "telemetry": {"metrics_port": 0},
        }
        path.write_text(yaml.safe_dump(tree))
        return path

    return write
