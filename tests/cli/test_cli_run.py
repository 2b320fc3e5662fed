import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.config_file import load
from flows.settings import Settings
from flows.spec import FLOWS, FlowSpec
from mdp.runtime import worker
from tests.cli.cli_result import Config, Mdp

Asked = list[tuple[FlowSpec, Settings, int]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the worker was asked to run: flow, settings and number of processes. It answers with code 7."""
    calls: Asked = []

    def run(
        flow: FlowSpec, config: Path | None, overrides: Sequence[str], workers: int, *, reset_state: bool, quiet: bool
    ) -> int:
        assert not reset_state
        assert not quiet
        calls.append((flow, load(config, overrides), workers))
        return 7

    monkeypatch.setattr(worker, "run", run)
    return calls


def test_what_the_worker_says_is_the_exit_code(mdp: Mdp, config: Config, asked: Asked) -> None:
    path = config()
    flows = ("run", "micro-batch", "infer", "normalize", "persist")
    assert [mdp("stream", flow, "--config", path).code for flow in flows] == [7] * len(flows)
    assert asked == [(flow, load(path, []), 1) for flow in FLOWS.values()]


def test_options_of_a_run_become_settings(mdp: Mdp, config: Config, asked: Asked) -> None:
    span = ("--from", "2025-10-24", "--to", "2025-10-24T12:00:00.5+02:00")
    mdp("stream", "run", *span, "--overwrite", "--name", "again", "--workers", "3", "--config", config())
    ((_, settings, workers),) = asked
    assert (settings.name, workers) == ("again", 3)
    run = settings.run
    assert (run.from_ns, run.to_ns) == (1_761_264_000_000_000_000, 1_761_300_000_500_000_000)
    assert (run.overwrite, run.until_end) == (True, False)


def test_where_the_results_of_a_range_go_becomes_settings(mdp: Mdp, config: Config, asked: Asked) -> None:
    path = config()
    for flow in ("run", "micro-batch", "infer"):
        mdp("stream", flow, "--to", "2025-10-24", "--run", "2025_10", "--config", path)
        mdp("stream", flow, "--to", "2025-10-24", "--into", "live", "--overwrite", "--config", path)
    runs = [settings.run for _, settings, _ in asked]
    assert [(run.name, run.into, run.overwrite) for run in runs] == [("2025_10", None, False), (None, "live", True)] * 3
    assert "'live'" in mdp("stream", "run", "--to", "2025-10-24", "--into", "lives", "--config", path).err


def test_a_run_may_be_of_days_in_a_zone_and_of_times_before_now(mdp: Mdp, config: Config, asked: Asked) -> None:
    path, before = config(), time.time_ns()
    mdp("stream", "run", "--from", "2025-10-24", "--to", "-1h", "--zone", "America/New_York", "--config", path)
    ((_, settings, _),) = asked
    assert settings.run.from_ns == 1_761_278_400_000_000_000
    assert before <= (settings.run.to_ns or 0) + 3_600_000_000_000 <= time.time_ns()


def test_a_window_is_a_duration(mdp: Mdp, config: Config, asked: Asked) -> None:
    mdp("stream", "micro-batch", "--window", "4s", "--until-end", "--config", config())
    ((_, settings, _),) = asked
    assert (settings.micro_batch.window_ms, settings.run.until_end) == (4_000, True)


@pytest.mark.parametrize(
    ("adapter", "enabled"),
    [
        ("none", {"rules": False, "sklearn": False, "breakout": False}),
        ("rules", {"rules": True, "sklearn": False, "breakout": False}),
        ("sklearn", {"rules": False, "sklearn": True, "breakout": False}),
        ("breakout", {"rules": False, "sklearn": False, "breakout": True}),
    ],
)
def test_an_adapter_runs_alone(mdp: Mdp, config: Config, asked: Asked, adapter: str, enabled: dict[str, bool]) -> None:
    installed = ("--set", "inference.adapters.breakout={enabled: true, lookback: 3}")
    mdp("stream", "run", *installed, "--adapter", adapter, "--config", config())
    ((_, settings, _),) = asked
    adapters = settings.inference.adapters
    found = {"rules": adapters.rules, "sklearn": adapters.sklearn, **adapters.installed}
    assert {name: one.enabled for name, one in found.items() if one is not None} == enabled
    assert adapters.installed["breakout"].options == {"lookback": 3}


def test_no_adapter_needs_no_rules_file(mdp: Mdp, asked: Asked, tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("version: 1\n")
    assert mdp("stream", "run", "--adapter", "none", "--config", path).code == 7
    assert mdp("stream", "run", "--adapter", "rules", "--config", path).code == 2
