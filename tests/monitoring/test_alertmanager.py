"""Alertmanager's config: amtool reads it, and what it names has to exist."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.harness import until
from tests.monitoring.monitoring_servers import AlertmanagerServer
from tests.monitoring.promql import CONFIGS, PROJECT, rules, yaml_blocks

CONFIG = CONFIGS / "alertmanager" / "alertmanager.yml"
[EXAMPLE] = yaml_blocks(PROJECT / "docs" / "operations.md", "receivers")
ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}


def amtool(debian_program: Callable[[str], str], *arguments: str) -> str:
    ran = subprocess.run([debian_program("amtool"), *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


@pytest.fixture(params=["as it is", "as the docs change it"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """With the receivers, routes and hours that the docs show, and as it is."""
    tree = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    if request.param != "as it is":
        tree["route"]["routes"] = [*EXAMPLE["route"]["routes"], *tree["route"]["routes"]]
        tree |= {key: EXAMPLE[key] for key in EXAMPLE.keys() - {"route"}}
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return file


def test_alertmanager_takes_the_config(config: Path, debian_program: Callable[[str], str]) -> None:
    amtool(debian_program, "check-config", str(config))


@pytest.mark.parametrize("name", ALERTS)
def test_what_is_critical_wakes_somebody(name: str, config: Path, debian_program: Callable[[str], str]) -> None:
    severity = ALERTS[name]["labels"]["severity"]
    labels = [f"alertname={name}", f"severity={severity}", "job=mdp"]
    receiver = {"critical": "wake", "warning": "inform"}[severity]
    amtool(
        debian_program, "config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}", *labels
    )


def test_what_follows_from_an_outage_is_held_back_in_its_deployment(
    tmp_path: Path, debian_program: Callable[[str], str]
) -> None:
    with AlertmanagerServer(debian_program("prometheus-alertmanager"), tmp_path) as server:
        lags = {"alertname": "MdpConsumerLag", "severity": "warning", "topic": "mdp.events"}
        server.send(
            {"alertname": "MdpWorkerDown", "severity": "critical", "job": "mdp", "instance": "worker:9101"},
            *({**lags, "job": job} for job in ("mdp", "mdp-test")),
            {"alertname": "MdpDlqRate", "severity": "warning", "job": "mdp"},
        )
        states = {"mdp": "suppressed", "mdp-test": "active"}
        until(
            lambda: {one["labels"]["job"]: one["status"]["state"] for one in server.alerts("MdpConsumerLag")} == states,
            "the lag of the deployment that is down to be held back",
            30,
        )
        for name in ("MdpWorkerDown", "MdpDlqRate"):
            assert [one["status"]["state"] for one in server.alerts(name)] == ["active"]


def test_what_holds_back_others_and_is_held_back_are_alerts() -> None:
    named = [
        name
        for rule in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        for name in matcher.split(maxsplit=2)[2].strip('"').split("|")
    ]
    assert set(named) <= ALERTS.keys()
