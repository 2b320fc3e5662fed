"""Writes every dashboard to the folder from which Grafana reads them."""

from pathlib import Path

from dashboards.catalog import rendered

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "grafana" / "dashboards"

for name, text in rendered().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
