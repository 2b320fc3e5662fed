"""The rules for Prometheus: promtool runs their own tests, and what they name has to exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config_file import load
from tests.monitoring.promql import (
    BOARDS,
    CONFIGS,
    PROJECT,
    RULES,
    board_queries,
    metric_names,
    rules,
    unknown_parts,
    yaml_blocks,
)

CASES = sorted((Path(__file__).parent / "rules").glob("*.yml"))
OPERATIONS = PROJECT / "docs" / "operations.md"
ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
RECORDED = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}


def promtool(debian_program: Callable[[str], str], *arguments: str) -> None:
    ran = subprocess.run([debian_program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def alert_cases() -> list[dict[str, Any]]:
    tests = [test for file in CASES for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
    return [case for test in tests for case in test.get("alert_rule_test", [])]


def test_prometheus_takes_the_config_and_finds_all_rules(debian_program: Callable[[str], str]) -> None:
    promtool(debian_program, "check", "config", "--lint-fatal", str(CONFIGS / "prometheus" / "prometheus.yml"))
    config = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    found = {file for pattern in config["rule_files"] for file in (CONFIGS / "prometheus").glob(pattern)}
    assert found == set(RULES.iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda file: file.stem)
def test_rules_do_what_their_cases_say(case: Path, debian_program: Callable[[str], str]) -> None:
    promtool(debian_program, "test", "rules", str(case))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    assert {bool(case["exp_alerts"]) for case in alert_cases() if case["alertname"] == name} == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_it_is_told_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    base = '{{ or $externalLabels.mdp_runbooks "docs/operations.md" }}'
    assert alert["annotations"]["runbook_url"] == f"{base}#{name.lower()}"
    assert f"\n### {name}\n" in OPERATIONS.read_text(encoding="utf-8")


def test_the_list_of_alerts_in_the_docs_is_that_of_the_rules() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \|", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(name, name.lower(), alert["labels"]["severity"]) for name, alert in ALERTS.items()]


@pytest.mark.parametrize("name", [*ALERTS, *RECORDED])
def test_a_rule_asks_for_what_workers_serve(name: str) -> None:
    assert not unknown_parts(ALERTS[name]["expr"] if name in ALERTS else RECORDED[name])


def test_every_recorded_series_is_asked_for() -> None:
    queries = [alert["expr"] for alert in ALERTS.values()] + list(RECORDED.values())
    queries += [query for board in BOARDS for _, query in board_queries(board)]
    assert RECORDED.keys() <= set.union(*map(metric_names, queries))


def test_the_config_for_kubernetes_finds_the_workers_by_their_labels(
    debian_program: Callable[[str], str], tmp_path: Path
) -> None:
    [config] = yaml_blocks(OPERATIONS, "scrape_configs")
    [job] = config["scrape_configs"]
    assert [each["role"] for each in job.pop("kubernetes_sd_configs")] == [
        "pod"
    ]  # which Debian's promtool does not know
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    promtool(debian_program, "check", "config", str(file))
    objects = yaml.safe_load_all((PROJECT / "deploy" / "kubernetes" / "worker.yaml").read_text(encoding="utf-8"))
    [pod] = [each["spec"]["template"] for each in objects if each["kind"] == "StatefulSet"]
    labels = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[./-]', '_', key)}": value
        for key, value in pod["metadata"]["labels"].items()
    }
    [port] = [port for port in pod["spec"]["containers"][0]["ports"] if port["containerPort"] == 9101]
    values = labels | {"__meta_kubernetes_pod_container_port_name": port["name"]}
    keep = job["relabel_configs"][0]
    assert ";".join(values[name] for name in keep["source_labels"]) == keep["regex"]


def test_the_ports_of_a_cluster_of_two_are_scraped() -> None:
    config = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    first = load(CONFIGS / "streaming.yaml").telemetry.metrics_port
    assert job["static_configs"] == [{"targets": [f"worker:{first}", f"worker:{first + 1}"]}]
