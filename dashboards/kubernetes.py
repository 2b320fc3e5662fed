"""The rules and the dashboards as Kubernetes objects, from the files of Prometheus and Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

_HEAD: Final = "# Written by `make dashboards` from {source}.\n"


def prometheus_rules(folder: Path) -> str:
    """A PrometheusRule for each file of rules in `folder`."""
    objects = [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": f"mdp-{file.stem}", "labels": {"app.kubernetes.io/name": "mdp"}},
            "spec": yaml.safe_load(file.read_text(encoding="utf-8")),
        }
        for file in sorted(folder.glob("*.yml"))
    ]
    return _HEAD.format(source="configs/prometheus/rules") + _dumped(*objects)


def dashboard_maps(names: list[str]) -> str:
    """A kustomization with a ConfigMap for each dashboard, as expected by Grafana's sidecar.

    Each has its own, as `kubectl apply` accepts no object of more than 256 KiB. Names have no hash, so that a new
    version replaces the old one: both together would be two dashboards with one uid.
    """
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "generatorOptions": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
        "configMapGenerator": [
            {"name": f"mdp-dashboard-{name.removesuffix('.json')}", "files": [f"dashboards/{name}"]} for name in names
        ],
    }
    return _HEAD.format(source="dashboards/") + _dumped(kustomization)


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings in block style."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _dumped(*objects: dict[str, Any]) -> str:
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120)
