"""A real Prometheus with the project's config, but for whom it asks, and how often."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml
from promql import CONFIGS

from mdp.local import ports
from tests.harness import until

PORTS = range(16_000, 18_000)


class PrometheusServer:
    """Scrapes `targets` and evaluates the rules every second, from when it is entered until it is left."""

    def __init__(self, program: str, folder: Path, targets: Sequence[str]) -> None:
        [port] = ports.choose(PORTS, 1)
        self._url = f"http://{ports.HOST}:{port}"
        self._folder = folder
        self._command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={ports.HOST}:{port}",
            "--log.level=warn",
        ]
        config = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(CONFIGS / "prometheus" / pattern) for pattern in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = list(targets)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def __enter__(self) -> Self:
        with (self._folder / "prometheus.log").open("wb") as said:
            self._process = subprocess.Popen(self._command, stdout=said, stderr=said)
        until(self._is_ready, "Prometheus", 30)
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
            with urlopen(f"{self._url}/-/ready", timeout=10):
                return True
        except OSError:  # it does not listen yet, or says that it is not ready
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers; an answer that is an error raises HTTPError."""
        with urlopen(f"{self._url}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[float]:
        """The values that a query has now; NaN counts as none."""
        found = self.get("query", query=query)
        samples = [found["result"]] if found["resultType"] == "scalar" else [each["value"] for each in found["result"]]
        return [value for _, text in samples if (value := float(text)) == value]
