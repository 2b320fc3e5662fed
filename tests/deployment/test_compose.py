import re
import subprocess
import sys
from itertools import pairwise

import pytest
import yaml

from flows.config_file import load
from flows.settings import Settings
from sinks.queries.diagnosis import is_older
from sinks.schema.hypertables import OLDEST
from tests.deployment.compose_file import COMPOSE, PROJECT, compose, host_of, ours, services, variables

SERVICES = sorted(services())
OURS = sorted(ours())


def streaming(service: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that a service of ours runs with."""
    for name, value in ours()[service]["environment"].items():
        monkeypatch.setenv(name, str(value))
    command = ours()[service]["command"]
    overrides = [value for flag, value in pairwise(command) if flag == "--set"]
    return load(PROJECT / "configs" / "streaming.yaml", overrides)


def test_the_file_keeps_to_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_services_that_there_are(name: str) -> None:
    for other, wait in services()[name].get("depends_on", {}).items():
        service = services()[other]
        assert set(service.get("profiles", [])) <= set(services()[name].get("profiles", []))
        if wait["condition"] == "service_healthy":
            assert service["healthcheck"]["test"][0] == "CMD"
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert service.get("restart", "no") == "no", "a service that starts again never completes"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_mounts_volumes_and_folders_that_there_are(name: str) -> None:
    for mount in services()[name].get("volumes", []):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("./"):
            assert (PROJECT / source).is_dir()
            assert mode == ["ro"], "what is in the repository is read only"
        else:
            assert source in compose()["volumes"]


def test_every_volume_is_mounted_once() -> None:
    mounts = [mount for service in services().values() for mount in service.get("volumes", [])]
    mounted = [mount.split(":")[0] for mount in mounts if not mount.startswith("./")]
    assert sorted(mounted) == sorted(compose()["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_runs_on_is_watched_and_what_ends_is_not(name: str) -> None:
    service = services()[name]
    assert ("healthcheck" in service) == ("restart" in service)
    if "healthcheck" in service:
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_reached_from_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in services()[name].get("ports", []))
    assert services()[name].get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_version_or_is_built_here(name: str) -> None:
    service = services()[name]
    if "build" in service:
        assert (PROJECT / service["build"] / "Dockerfile").is_file()
    else:
        assert re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", service["image"])


def test_timescaledb_is_not_older_than_it_may_be() -> None:
    (version,) = re.findall(r"timescaledb:(\d+\.\d+\.\d+)-pg", services()["timescaledb"]["image"])
    assert not is_older(version, OLDEST)
    assert f"\nFor years of data. {OLDEST} or newer" in (PROJECT / "docs" / "deploying.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "older"), [("2.9.3", True), ("2.29.1", True), (OLDEST, False), ("2.29.3-dev", False), ("3.0.0", False)]
)
def test_versions_are_compared_as_numbers(version: str, older: bool) -> None:
    assert is_older(version, OLDEST) == older


def test_secrets_have_no_default_and_are_in_no_url() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    secrets = {"POSTGRES_PASSWORD", "READER_PASSWORD", "GRAFANA_PASSWORD", "MDP_SERVE_TOKEN"}
    assert variables(text) == secrets | {"MDP_RUNBOOKS"}
    lines = [line for line in text.splitlines() if "${" in line and "${MDP_RUNBOOKS:-}" not in line]
    assert all(re.search(r"^ +\w+: \$\{\w+:\?", line) for line in lines)


def test_the_example_of_the_environment_has_every_variable_and_no_value() -> None:
    lines = (PROJECT / ".env.example").read_text(encoding="utf-8").splitlines()
    given = [line for line in lines if line and not line.startswith("#")]
    assert sorted(given) == sorted(f"{name}=" for name in variables(COMPOSE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", OURS)
def test_our_services_may_write_to_their_volumes_only(name: str) -> None:
    service = ours()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_given_every_variable_of_the_config(name: str) -> None:
    asked = variables((PROJECT / "configs" / "streaming.yaml").read_text(encoding="utf-8"))
    assert asked <= set(ours()[name]["environment"])


@pytest.mark.parametrize("name", OURS)
def test_our_services_find_kafka_and_the_database(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = streaming(name, monkeypatch)
    kafka, database = services()["kafka"]["environment"], services()["timescaledb"]["environment"]
    advertised = {listener.partition("://")[2] for listener in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    assert settings.bus.kafka.brokers in advertised
    assert host_of(settings.bus.kafka.brokers) == "kafka"
    url = settings.store.url.get_secret_value()
    assert url == f"postgresql://{database['POSTGRES_USER']}@timescaledb:5432/{database['POSTGRES_DB']}"
    assert ours()[name]["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"]


def test_every_listener_of_kafka_has_a_protocol_and_the_published_one_leads_back_to_this_machine() -> None:
    kafka = services()["kafka"]["environment"]
    listeners = {entry.split("://")[0] for entry in kafka["KAFKA_LISTENERS"].split(",")}
    assert {entry.split(":")[0] for entry in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")} == listeners
    [published] = services()["kafka"]["ports"]
    assert f"OUTSIDE://{published.rpartition(':')[0]}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")


def test_each_worker_shows_its_metrics_on_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = services()["worker"]
    telemetry = streaming("worker", monkeypatch).telemetry
    workers = int(worker["command"][worker["command"].index("--workers") + 1])
    ports = [telemetry.metrics_port + number for number in range(workers)]
    assert telemetry.metrics_host == "0.0.0.0"
    assert worker["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports]
    assert str(tuple(ports)) in worker["healthcheck"]["test"][-1]
    scraped = yaml.safe_load((PROJECT / "configs" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    targets = [
        target for job in scraped["scrape_configs"] for one in job["static_configs"] for target in one["targets"]
    ]
    assert {f"worker:{port}" for port in ports} <= set(targets)


def test_the_workers_keep_their_state() -> None:
    home = re.search(r"MDP_HOME=(\S+)", (PROJECT / "Dockerfile").read_text(encoding="utf-8"))
    assert home is not None
    assert services()["worker"]["volumes"] == [f"recovery:{home[1]}"]


def test_the_page_finds_the_workers_and_asks_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    page = services()["page"]
    assert streaming("page", monkeypatch).telemetry.metrics_host == "worker"
    assert page["environment"]["MDP_SERVE_TOKEN"].startswith("${MDP_SERVE_TOKEN:?")
    port = page["command"][page["command"].index("--port") + 1]
    assert page["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/health" in page["healthcheck"]["test"][-1]


def test_prometheus_reads_the_projects_config_and_grafana_its_dashboards() -> None:
    prometheus, grafana = services()["prometheus"], services()["grafana"]
    assert "./configs/prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in prometheus["command"]
    folders = {mount.split(":")[1] for mount in grafana["volumes"]}
    provisioning = PROJECT / "configs" / "grafana" / "provisioning"
    for file in (provisioning / "dashboards").glob("*.y*ml"):
        for provider in yaml.safe_load(file.read_text(encoding="utf-8"))["providers"]:
            assert provider["options"]["path"] in folders
    for file in (provisioning / "datasources").glob("*.y*ml"):
        for source in yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]:
            assert host_of(source["url"]) in services()


def test_grafana_reads_the_database_with_the_role_that_is_created_for_it() -> None:
    reader, database = services()["reader"], services()["timescaledb"]
    [file] = (PROJECT / "configs" / "grafana" / "provisioning" / "datasources").glob("timescaledb.yaml")
    [source] = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    assert (source["url"], source["jsonData"]["database"]) == (
        "timescaledb:5432",
        database["environment"]["POSTGRES_DB"],
    )
    assert f"--username={database['environment']['POSTGRES_USER']}" in reader["command"]
    assert source["secureJsonData"] == {"password": "$READER_PASSWORD"}
    assert services()["grafana"]["environment"]["READER_PASSWORD"] == reader["environment"]["READER_PASSWORD"]
    [folder] = reader["volumes"]
    [script] = [part.removeprefix("--file=") for part in reader["command"] if part.startswith("--file=")]
    place = script.replace(folder.split(":")[1], folder.split(":")[0].removeprefix("./"))
    assert f"CREATE ROLE {source['user']}" in (PROJECT / place).read_text(encoding="utf-8")


def test_prometheus_tells_alertmanager_and_knows_where_runbooks_are() -> None:
    config = yaml.safe_load((PROJECT / "configs" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert set(config["global"]["external_labels"].values()) == {"${MDP_RUNBOOKS}"}
    assert services()["prometheus"]["environment"] == {"MDP_RUNBOOKS": "${MDP_RUNBOOKS:-}"}
    [told] = config["alerting"]["alertmanagers"]
    [port] = services()["alertmanager"]["ports"]
    assert told["static_configs"] == [{"targets": [f"alertmanager:{port.rpartition(':')[2]}"]}]
    assert "./configs/alertmanager:/etc/alertmanager:ro" in services()["alertmanager"]["volumes"]
    assert "--config.file=/etc/alertmanager/alertmanager.yml" in services()["alertmanager"]["command"]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_links_of_a_server_lead_to_where_it_is_published(name: str) -> None:
    [port] = services()[name]["ports"]
    assert f"--web.external-url=http://{port.rpartition(':')[0]}" in services()[name]["command"]


def test_topics_of_the_config_are_created(monkeypatch: pytest.MonkeyPatch) -> None:
    created = yaml.safe_load((PROJECT / "configs" / "topics.yaml").read_text(encoding="utf-8"))["topics"]
    kafka = streaming("worker", monkeypatch).bus.kafka
    outputs = {kafka.signals_topic, kafka.bars_topic, kafka.dlq_topic, kafka.late_topic}
    used = {kafka.topic, *outputs, kafka.replay_topic, kafka.control_topic}
    assert used <= set(created)
