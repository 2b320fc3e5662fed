"""The Grafana dashboards, as code: `python -m dashboards` writes them to configs/grafana/dashboards."""
