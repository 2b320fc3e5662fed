"""bench/results.json: the results of each part of the benchmark, as sections."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent / "results.json"
PACKAGES = ("bytewax", "confluent-kafka", "msgspec", "numpy", "polars", "psycopg", "pyarrow")


def keep(section: str, found: object, *, file: Path = FILE) -> None:
    """Replaces a section, with machine and date; the other sections stay."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    results = load(file)
    results |= {section: found, "machine": machine(), "versions": versions(), "date": now}
    results["measured"] = {**results.get("measured", {}), section: now}
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def load(file: Path = FILE) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def machine() -> dict[str, str | int | float]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, {' '.join(platform.libc_ver())}",
    }


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def _cpu() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    return names[0].partition(":")[2].strip() if names else platform.processor()
