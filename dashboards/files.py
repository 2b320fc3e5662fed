"""All generated files: from the code of the dashboards, and from the rules of Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dashboards.catalog import rendered
from dashboards.kubernetes import dashboard_maps, prometheus_rules

PROJECT: Final = Path(__file__).resolve().parent.parent
_GRAFANA: Final = PROJECT / "configs" / "grafana"
_RULES: Final = PROJECT / "configs" / "prometheus" / "rules"


def derived() -> dict[Path, str]:
    """The text of each generated file."""
    boards = rendered()
    return {
        **{_GRAFANA / "dashboards" / name: text for name, text in boards.items()},
        _GRAFANA / "kustomization.yaml": dashboard_maps(list(boards)),
        PROJECT / "deploy" / "kubernetes" / "monitoring" / "rules.yaml": prometheus_rules(_RULES),
    }
