"""The Grafana dashboards, as code: `python -m dashboards` writes them, and the objects of Kubernetes that hold them."""
