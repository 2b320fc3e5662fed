"""The Grafana dashboards as code: `python -m dashboards` writes them, and Kubernetes objects with them."""
