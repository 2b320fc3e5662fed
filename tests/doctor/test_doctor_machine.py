import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.config_file import load
from mdp.doctor import machine
from mdp.doctor.site import FLOW, Site
from mdp.local import ports
from mdp.runtime.saved_state import SavedState
from telemetry.server import serve
from tests.doctor.doctor_site import said, write


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One that needs neither Kafka nor a database."""
    monkeypatch.setenv("MDP_HOME", str(tmp_path / "home"))
    config = tmp_path / "streaming.yaml"
    write(config, {"telemetry": {"metrics_port": ports.choose(range(10_000, 12_000), 1)[0]}})
    return configured(Site(load(config, []), config, workers=1, sample=1))


def configured(site: Site, *overrides: str) -> Site:
    site.settings = load(site.config, overrides)
    return site


@pytest.fixture
def saved(site: Site) -> SavedState:
    made = SavedState.of(site.settings, FLOW)
    assert made is not None
    made.prepare(reset=False)
    return made


def test_what_is_installed_is_what_the_project_asks_for(site: Site) -> None:
    [finding] = machine.versions(site)
    assert finding.level == "ok"
    assert "bytewax 0.21" in finding.text


def test_another_version_of_a_pinned_library_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "version", lambda name: "0.1" if name == "bytewax" else "1.0")
    [finding] = said(machine.versions, site)
    assert finding.text.startswith("bytewax 0.1, not 0.21")


def test_a_rule_on_a_feature_that_there_is_not_is_told(site: Site, tmp_path: Path) -> None:
    assert not said(machine.config, site)
    rules = tmp_path / "rules.yaml"
    write(rules, [{"name": "up", "condition": "no_feature > 0", "signal": 1.0, "score": 0.5}])
    configured(site, f"inference.adapters.rules.file={rules}")
    [finding] = said(machine.config, site)
    assert "no_feature" in finding.text


def test_without_saved_state_there_is_nothing_wrong(site: Site) -> None:
    [finding] = machine.saved_state(site)
    assert (finding.level, finding.text.startswith("none yet")) == ("ok", True)


def test_saved_state_that_fits_is_told_with_its_size_and_age(site: Site, saved: SavedState) -> None:
    [finding] = machine.saved_state(site)
    assert (finding.level, finding.text.endswith(" 0 s old")) == ("ok", True)


def test_saved_state_of_another_config_is_told(site: Site, saved: SavedState) -> None:
    configured(site, "micro_batch.window_ms=4000")
    [finding] = said(machine.saved_state, site)
    assert "micro_batch.window_ms was 2000 and is 4000" in finding.text
    assert "--reset-state" in finding.remedy


def test_damaged_state_is_told(site: Site, saved: SavedState) -> None:
    for part in saved.folder.glob("part-*"):
        part.unlink()
    [finding] = said(machine.saved_state, site)
    assert "is damaged" in finding.text
    assert finding.remedy == "read the log again with --reset-state"


def test_state_that_a_run_does_not_keep_up_to_date_is_told(site: Site, saved: SavedState) -> None:
    for part in saved.folder.glob("part-*"):
        os.utime(part, (0, 0))
    assert not said(machine.saved_state, site), "nobody runs"
    with saved.locked():
        [finding] = said(machine.saved_state, site)
    assert finding.text.endswith("though a run saves every 10 s")


def test_a_disk_that_is_nearly_full_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LEAST_FREE", 1 << 80)
    [finding] = said(machine.saved_state, site)
    assert "are left on the disk" in finding.text


def test_a_port_on_which_no_worker_runs_is_free(site: Site) -> None:
    [finding] = machine.workers(site)
    assert (finding.level, finding.text.endswith("is free")) == ("ok", True)


def test_a_worker_that_is_not_ready_is_told_with_its_reasons(site: Site) -> None:
    def away() -> None:
        raise ConnectionError("no route")

    serve(site.settings.telemetry, 0, {"Kafka": away})
    [finding] = said(machine.workers, site)
    assert "is not ready: " in finding.text
    assert "Kafka is not available: no route" in finding.text


@pytest.fixture
def stranger(site: Site) -> Iterator[None]:
    """Another program on the workers' port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer((ports.HOST, site.settings.telemetry.metrics_port), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("stranger")
def test_a_port_that_another_program_uses_is_told(site: Site) -> None:
    [finding] = said(machine.workers, site)
    assert finding.text == f"port {site.settings.telemetry.metrics_port} is used by another program"


def test_a_program_that_hangs_up_on_a_question_is_another_one(site: Site) -> None:
    with socket.create_server((ports.HOST, site.settings.telemetry.metrics_port)) as server:

        def hang_up() -> None:
            for _ in range(2):  # the first only looks whether anybody is there
                connection, _ = server.accept()
                connection.recv(1_000)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        [finding] = machine.workers(site)
        thread.join()
    assert (finding.level, finding.text.endswith("is used by another program")) == ("wrong", True)


def test_workers_without_metrics_are_worth_a_note(site: Site) -> None:
    configured(site, "telemetry.metrics_port=0")
    [finding] = machine.workers(site)
    assert finding.level == "note"
