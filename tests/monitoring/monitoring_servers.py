"""A real Prometheus and a real Alertmanager with the project's configs, but for addresses and pace."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import yaml

from mdp.local import ports
from tests.harness import until
from tests.monitoring.promql import CONFIGS

PROMETHEUS_PORTS = range(16_000, 17_000)
ALERTMANAGER_PORTS = range(17_000, 18_000)


class _Server(ABC):
    """Runs from when it is entered until it is left."""

    def __init__(self, folder: Path, among: range) -> None:
        [port] = ports.choose(among, 1)
        self.address = f"{ports.HOST}:{port}"
        self._folder = folder

    @abstractmethod
    def _command(self) -> list[str]: ...

    def _environment(self) -> Mapping[str, str]:
        return {}

    def __enter__(self) -> Self:
        with (self._folder / "server.log").open("wb") as said:
            environment = {**os.environ, **self._environment()}
            self._process = subprocess.Popen(self._command(), stdout=said, stderr=said, env=environment)
        until(self._is_ready, self._command()[0], 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://{self.address}/-/ready", timeout=10):
                return True
        except OSError:  # it does not listen yet, or says that it is not ready
            return False

    def _ask(self, path: str, **parameters: str) -> Any:
        with urlopen(f"http://{self.address}/api/{path}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)


class AlertmanagerServer(_Server):
    def __init__(self, program: str, folder: Path) -> None:
        super().__init__(folder, ALERTMANAGER_PORTS)
        self._program = program

    def _command(self) -> list[str]:
        return [
            self._program,
            f"--config.file={CONFIGS / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={self._folder}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]

    def send(self, *alerts: Mapping[str, str]) -> None:
        """Alerts with these labels begin to fire."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        urlopen(Request(f"http://{self.address}/api/v2/alerts", body, headers), timeout=10).close()

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Those of this name that it knows to be firing."""
        found: list[dict[str, Any]] = self._ask("v2/alerts", filter=f"alertname={name}")
        return found


class PrometheusServer(_Server):
    """Scrapes `targets` and evaluates the rules every second; its alerts link to `runbooks`."""

    def __init__(
        self, program: str, folder: Path, targets: Sequence[str], alertmanager: AlertmanagerServer, runbooks: str
    ) -> None:
        super().__init__(folder, PROMETHEUS_PORTS)
        self._program, self._runbooks = program, runbooks
        config = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(CONFIGS / "prometheus" / pattern) for pattern in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = list(targets)
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager.address]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def _command(self) -> list[str]:
        return [
            self._program,
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--enable-feature=expand-external-labels",  # as Prometheus 3 does by itself
            "--log.level=warn",
        ]

    def _environment(self) -> Mapping[str, str]:
        return {"MDP_RUNBOOKS": self._runbooks}

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers; an answer that is an error raises HTTPError."""
        return self._ask(f"v1/{path}", **parameters)["data"]

    def values(self, query: str) -> list[float]:
        """The values that a query has now; NaN counts as none."""
        found = self.get("query", query=query)
        samples = [found["result"]] if found["resultType"] == "scalar" else [each["value"] for each in found["result"]]
        return [value for _, text in samples if (value := float(text)) == value]
