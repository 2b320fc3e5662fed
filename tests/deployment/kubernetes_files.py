"""deploy/kubernetes as kubectl would read it, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "deploy" / "kubernetes"
EXAMPLES = ("secret.example.yaml",)

Object = dict[str, Any]


def kustomization(folder: Path = FOLDER) -> Object:
    found: Object = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return found


def objects() -> list[Object]:
    """All objects in the files that the kustomization names, and in the example of a secret."""
    files = [name for name in kustomization()["resources"] if (FOLDER / name).is_file()]
    return [one for name in (*files, *EXAMPLES) for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))]


def of_kind(*kinds: str) -> list[Object]:
    return [one for one in objects() if one["kind"] in kinds]


def named(kind: str, name: str) -> Object:
    [found] = [one for one in of_kind(kind) if one["metadata"]["name"] == name]
    return found


def workloads() -> list[Object]:
    return of_kind("StatefulSet", "Deployment", "Job")


def pod(workload: Object) -> Object:
    found: Object = workload["spec"]["template"]["spec"]
    return found


def containers() -> Iterator[tuple[Object, Object]]:
    """Each container of ours with its workload."""
    for workload in workloads():
        for container in pod(workload)["containers"]:
            yield workload, container


def generated() -> dict[str, dict[str, Path]]:
    """The ConfigMaps that kustomize makes: their files, by the name of the map."""
    maps: dict[str, dict[str, Path]] = {}
    for folder in (FOLDER, *((FOLDER / name) for name in kustomization()["resources"] if (FOLDER / name).is_dir())):
        for generator in kustomization(folder).get("configMapGenerator", []):
            maps[generator["name"]] = {file: folder / file for file in generator["files"]}
    return maps


def arguments(container: Object, ordinal: int = 0) -> list[str]:
    """The command line of a container, its variables put in as Kubernetes does, in a pod of this ordinal."""
    values = {one["name"]: one.get("value", str(ordinal)) for one in container.get("env", [])}
    line = list(container["args"])
    for name, value in values.items():
        line = [argument.replace(f"$({name})", value) for argument in line]
    return line
