"""deploy/kubernetes/monitoring: objects keep to their schemas, and Prometheus and Grafana find what they look for."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from contracts.duration import parse_duration
from tests.deployment.kubernetes_files import FOLDER, PROJECT, Object, kustomization, named, pod

MONITORING = FOLDER / "monitoring"
SCHEMAS = Path(__file__).parent / "crds"
RULES = PROJECT / "configs" / "prometheus" / "rules"
BOARDS = PROJECT / "configs" / "grafana" / "dashboards"
MOST_APPLIED_BYTES = 262_144  # in an annotation, where `kubectl apply` keeps the whole object

OBJECTS: list[Object] = [
    one for file in ("podmonitor.yaml", "rules.yaml") for one in yaml.safe_load_all((MONITORING / file).read_text())
]
[MONITOR] = [one for one in OBJECTS if one["kind"] == "PodMonitor"]
[ENDPOINT] = MONITOR["spec"]["podMetricsEndpoints"]
WORKER = named("StatefulSet", "mdp-worker")


def closed(schema: Any) -> Any:
    """As the server would have it that is told to refuse unknown fields."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return ({"additionalProperties": False} if "properties" in schema else {}) | {
        key: closed(value) for key, value in schema.items()
    }


def built(folder: Path) -> list[Object]:
    """What kustomize makes of a folder."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    made = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return list(yaml.safe_load_all(made.stdout))


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_an_object_keeps_to_the_schema_of_its_kind(one: Object) -> None:
    schema = json.loads((SCHEMAS / f"{one['kind'].lower()}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(closed(schema)).validate(one)  # unchecked: some of its patterns are Go's


def test_rules_are_those_that_prometheus_reads() -> None:
    groups = {one["metadata"]["name"]: one["spec"] for one in OBJECTS if one["kind"] == "PrometheusRule"}
    read = {f"mdp-{file.stem}": yaml.safe_load(file.read_text(encoding="utf-8")) for file in RULES.iterdir()}
    assert groups == read


def test_every_dashboard_has_a_map_that_can_be_applied() -> None:
    grafana = kustomization(PROJECT / "configs" / "grafana")
    files = [PROJECT / "configs" / "grafana" / file for one in grafana["configMapGenerator"] for file in one["files"]]
    assert sorted(files) == sorted(BOARDS.iterdir())
    assert all(len(one["files"]) == 1 for one in grafana["configMapGenerator"])
    assert all(len(json.dumps(file.read_text(encoding="utf-8"))) < MOST_APPLIED_BYTES / 2 for file in files)


def test_the_workers_are_scraped() -> None:
    template = WORKER["spec"]["template"]
    assert MONITOR["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    [container] = pod(WORKER)["containers"]
    assert ENDPOINT["port"] in {port["name"] for port in container["ports"]}
    assert parse_duration(ENDPOINT["interval"]) <= parse_duration("15s"), "rates are over a minute"


@pytest.mark.parametrize(
    ("namespace", "job"), [("mdp", "mdp"), ("mdp-test", "mdp-test"), ("trading", "mdp"), ("my-mdp", "mdp")]
)
def test_the_job_is_one_that_the_rules_look_at_whatever_the_namespace(namespace: str, job: str) -> None:
    [relabel] = [one for one in ENDPOINT["relabelings"] if one["targetLabel"] == "job"]
    assert relabel["sourceLabels"] == ["__meta_kubernetes_namespace"]
    label = WORKER["spec"]["template"]["metadata"]["labels"][MONITOR["spec"]["jobLabel"]]
    found = re.fullmatch(relabel["regex"], namespace)
    assert (found[1] if found else label) == job
    texts = "".join(file.read_text(encoding="utf-8") for file in RULES.iterdir())
    assert all(re.fullmatch(pattern, job) for pattern in re.findall(r'job=~"([^"]+)"', texts))


def test_kustomize_builds_it_with_every_dashboard_as_it_is() -> None:
    objects = built(MONITORING)
    assert {one["metadata"]["namespace"] for one in objects} == {kustomization()["namespace"]}
    maps = [one for one in objects if one["kind"] == "ConfigMap"]
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in maps)
    assert {name: text for one in maps for name, text in one["data"].items()} == {
        file.name: file.read_text(encoding="utf-8") for file in BOARDS.iterdir()
    }
    assert {(one["kind"], one["metadata"]["name"]) for one in OBJECTS} == {
        (one["kind"], one["metadata"]["name"]) for one in objects if one["kind"] != "ConfigMap"
    }


def test_the_overlay_of_the_docs_is_the_pipeline_and_what_watches_it(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "deploying.md").read_text(encoding="utf-8")
    [block] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kubernetes/monitoring" in block]
    shutil.copytree(PROJECT / "configs", tmp_path / "mdp" / "configs")
    shutil.copytree(PROJECT / "deploy", tmp_path / "mdp" / "deploy")
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "kustomization.yaml").write_text(block, encoding="utf-8")
    objects = built(tmp_path / "overlay")
    assert {"StatefulSet", "PodMonitor", "PrometheusRule"} <= {one["kind"] for one in objects}
    watched = [one for one in objects if one["kind"] in {"PodMonitor", "PrometheusRule"}]
    assert all(one["metadata"]["labels"]["release"] == "kube-prometheus-stack" for one in watched)
