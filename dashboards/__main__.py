"""Writes the dashboards, and what Kubernetes needs of them and of the rules."""

from dashboards.files import derived

for file, text in derived().items():
    file.write_text(text, encoding="utf-8")
