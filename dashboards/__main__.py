"""Writes the dashboards, and the Kubernetes objects of dashboards and rules."""

from dashboards.files import derived

for file, text in derived().items():
    file.write_text(text, encoding="utf-8")
