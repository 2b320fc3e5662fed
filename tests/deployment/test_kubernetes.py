import re
from typing import Any

import kubernetes_validate
import pytest
from typer.testing import CliRunner

from flows.config_file import load
from flows.settings import Settings
from mdp.cli import app
from mdp.runtime.distributed import addresses_of
from tests.deployment.compose_file import variables
from tests.deployment.kubernetes_files import (
    FOLDER,
    PROJECT,
    Object,
    arguments,
    containers,
    generated,
    kustomization,
    named,
    objects,
    of_kind,
    pod,
    workloads,
)

VERSIONS = ("1.29", "1.34")  # the oldest that labels pods with their index for sure by then, and a new one
WORKER = named("StatefulSet", "mdp-worker")
[CONTAINER] = pod(WORKER)["containers"]


def name_of(one: Object) -> str:
    return f"{one['kind']}-{one['metadata']['name']}"


each_container = pytest.mark.parametrize(("workload", "container"), list(containers()), ids=map(str, range(4)))


def settings_of(container: Object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in named("Secret", "mdp")["stringData"].items():
        monkeypatch.setenv(name, value)
    line = arguments(container)
    overrides = [argument.removeprefix("--set=") for argument in line if argument.startswith("--set=")]
    return load(generated()["mdp-configs"]["streaming.yaml"], overrides)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", objects(), ids=name_of)
def test_an_object_keeps_to_the_schema_of_kubernetes(one: Object, version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_the_kustomization_names_every_file_and_none_that_there_is_not() -> None:
    resources = kustomization()["resources"]
    assert all((FOLDER / name).exists() for name in resources)
    listed = {name for name in resources if (FOLDER / name).is_file()}
    assert listed == {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert all(file.is_file() for files in generated().values() for file in files.values())


def test_every_image_is_given_a_version() -> None:
    given = {image["name"]: image["newTag"] for image in kustomization()["images"]}
    assert {container["image"] for _, container in containers()} == given.keys()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", tag) for tag in given.values())


@each_container
def test_what_a_pod_refers_to_is_there(workload: Object, container: Object) -> None:
    spec = pod(workload)
    claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys() | claims
    maps = {volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume}
    assert maps <= generated().keys()
    secrets = {source["secretRef"]["name"] for source in container["envFrom"]}
    assert secrets <= {one["metadata"]["name"] for one in of_kind("Secret")}
    assert spec["serviceAccountName"] in {one["metadata"]["name"] for one in of_kind("ServiceAccount")}
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    probes = [container[name] for name in container if name.endswith("Probe")]
    assert {probe["httpGet"]["port"] for probe in probes} <= ports.keys()


@each_container
def test_a_pod_is_not_root_and_may_write_to_its_volumes_only(workload: Object, container: Object) -> None:
    spec = pod(workload)["securityContext"]
    assert (spec["runAsNonRoot"], spec["runAsUser"]) == (True, 10001)
    assert spec["seccompProfile"] == {"type": "RuntimeDefault"}
    inner = container["securityContext"]
    assert (inner["allowPrivilegeEscalation"], inner["readOnlyRootFilesystem"]) == (False, True)
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert f"--uid {spec['runAsUser']}" in (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


@each_container
def test_a_pod_runs_a_command_that_there_is(workload: Object, container: Object) -> None:
    del workload
    line = arguments(container)
    assert not any("$(" in argument for argument in line)
    answer = CliRunner().invoke(app, [*line, "--help"])
    assert answer.exit_code == 0, answer.output


@each_container
def test_a_pod_is_given_every_variable_of_the_config(
    workload: Object, container: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    del workload
    config = generated()["mdp-configs"]["streaming.yaml"].read_text(encoding="utf-8")
    assert variables(config) <= named("Secret", "mdp")["stringData"].keys()
    settings = settings_of(container, monkeypatch)
    assert settings.bus.kafka.brokers != "embedded"
    assert settings.store.url.get_secret_value() != "embedded"


def test_files_of_the_config_are_where_the_image_has_them() -> None:
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY configs /app/configs" in text
    assert "WORKDIR /app" in text
    for _, container in containers():
        [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "configs"]
        assert mount["mountPath"] == "/app/configs"
    rules = load(generated()["mdp-configs"]["streaming.yaml"], ["store.url=embedded"]).inference.adapters.rules
    assert rules is not None
    assert rules.file.name in generated()["mdp-configs"]


def test_there_is_an_address_for_each_process_and_it_is_that_of_its_pod() -> None:
    service = named("Service", WORKER["spec"]["serviceName"])
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    [addresses] = [one["value"] for one in CONTAINER["env"] if one["name"] == "ADDRESSES"]
    pods = [f"{WORKER['metadata']['name']}-{ordinal}" for ordinal in range(WORKER["spec"]["replicas"])]
    assert addresses_of(addresses) == [f"{one}.{service['metadata']['name']}:{ports['cluster']}" for one in pods]
    assert {port["name"]: port["containerPort"] for port in CONTAINER["ports"]} == ports


def test_the_processes_find_each_other_before_they_are_ready_and_start_and_change_together() -> None:
    service = named("Service", WORKER["spec"]["serviceName"])["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert WORKER["spec"]["podManagementPolicy"] == "Parallel"
    assert WORKER["spec"]["updateStrategy"] == {"type": "OnDelete"}
    [process] = [one for one in CONTAINER["env"] if one["name"] == "PROCESS"]
    assert process["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"


def test_every_pod_shows_its_metrics_on_the_same_port_and_keeps_state_on_a_volume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry = settings_of(CONTAINER, monkeypatch).telemetry
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert (telemetry.metrics_host, telemetry.metrics_port) == ("0.0.0.0", ports["metrics"])
    assert WORKER["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    paths = {name: CONTAINER[name]["httpGet"]["path"] for name in CONTAINER if name.endswith("Probe")}
    assert paths == {"readinessProbe": "/ready", "startupProbe": "/health", "livenessProbe": "/health"}
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    [claim] = WORKER["spec"]["volumeClaimTemplates"]
    home = re.search(r"MDP_HOME=(\S+)", (PROJECT / "Dockerfile").read_text(encoding="utf-8"))
    assert home is not None
    assert mounts[claim["metadata"]["name"]] == home[1]
    assert "persistentVolumeClaimRetentionPolicy" not in WORKER["spec"], "no pods is a stop, and keeps the state"


def test_a_stop_is_given_the_time_that_it_takes() -> None:
    from flows.stop import _STOP_SECONDS

    assert pod(WORKER)["terminationGracePeriodSeconds"] > _STOP_SECONDS


def test_selectors_find_the_pods_that_they_are_for() -> None:
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads()]

    def found(selector: dict[str, Any]) -> int:
        return sum(selector.items() <= of_pod.items() for of_pod in labels)

    for workload in of_kind("StatefulSet", "Deployment"):
        assert found(workload["spec"]["selector"]["matchLabels"]) == 1
    for one in of_kind("Service"):
        assert found(one["spec"]["selector"]) == 1
    for one in of_kind("PodDisruptionBudget"):
        assert found(one["spec"]["selector"]["matchLabels"]) == 1
    for one in of_kind("NetworkPolicy"):
        assert found(one["spec"]["podSelector"]["matchLabels"]) == 1


def test_only_workers_reach_the_port_on_which_workers_talk() -> None:
    [policy] = of_kind("NetworkPolicy")
    inside, outside = policy["spec"]["ingress"]
    assert inside["ports"] == [{"port": "cluster"}]
    assert [one["podSelector"] for one in inside["from"]] == [policy["spec"]["podSelector"]]
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    [shown] = outside["ports"]
    assert shown["port"] == ports["metrics"] <= shown["endPort"] < ports["cluster"]


def test_the_page_asks_for_a_token_and_looks_at_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    [container] = pod(named("Deployment", "mdp-page"))["containers"]
    assert "MDP_SERVE_TOKEN" in named("Secret", "mdp")["stringData"]
    assert settings_of(container, monkeypatch).telemetry.metrics_host == "mdp-worker"
    [port] = named("Service", "mdp-page")["spec"]["ports"]
    assert f"--port={port['port']}" in container["args"]


def test_no_file_holds_a_secret() -> None:
    secrets = named("Secret", "mdp")["stringData"]
    assert "secret.example.yaml" not in kustomization()["resources"]
    assert all(secrets[name].startswith("choose-") for name in ("PGPASSWORD", "MDP_SERVE_TOKEN"))
    assert "@" in secrets["DATABASE_URL"]
    assert ":" not in secrets["DATABASE_URL"].removeprefix("postgresql://").split("@")[0], "no password in the URL"
