"""Apache Kafka's jars: pinned by `kafka.lock`, downloaded once per user into a cache.

Each line of the lock is `group:artifact:version sha256`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdp.local.errors import LocalStackError

LOCK = Path(__file__).with_name("kafka.lock")
REPOSITORY_VARIABLE = "MDP_MAVEN_REPOSITORY"
DOWNLOADS = 8
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact of a Maven repository."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the repository and in the cache."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """The path of the jar below the repository's address."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """Return the jars in the order of the lock, which is that of the class path."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [Jar(*line.replace(":", " ").split()) for line in lines if line.strip()]


def cache_folder() -> Path:
    """Return the user's cache for the locked release."""
    version = next(jar.version for jar in read_lock() if jar.artifact == "kafka-clients")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mdp" / f"kafka-{version}"


def fetch(folder: Path, progress: Callable[[str], None], jars: list[Jar] | None = None) -> list[Path]:
    """Download missing jars into `folder`, and return the paths of all jars.

    Present files were verified before they got their names, so they are not read again.

    Raises LocalStackError if a jar cannot be downloaded, or differs from the locked one.
    """
    jars = read_lock() if jars is None else jars
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if missing:
        progress(f"Kafka: downloading {len(missing)} jars to {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        _download_all(missing, folder)
        for stale in folder.glob("*.aot"):  # made from the jars' previous copies: Java would reject it at every start
            stale.unlink(missing_ok=True)
    return [folder / jar.file_name for jar in jars]


def _download_all(jars: list[Jar], folder: Path) -> None:
    # Imported only when something is missing, as it costs half a second. Its client uses the proxies, certificates and
    # credentials that the user has configured for Python's `requests`.
    repository = os.environ.get(REPOSITORY_VARIABLE) or importlib.import_module("jgo.constants").MAVEN_CENTRAL_URL
    client = importlib.import_module("jgo.util.http")
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        try:
            list(pool.map(lambda jar: _download(client, jar, repository.rstrip("/"), folder), jars))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # one failure is enough: do not try all the others
            raise


def _download(client: Any, jar: Jar, repository: str, folder: Path) -> None:
    try:
        response = client.get(f"{repository}/{jar.path}", timeout=TIMEOUT_SECONDS)
    except OSError as error:
        raise _unavailable(jar, type(error).__name__) from error
    if response.status_code != 200:
        raise _unavailable(jar, f"status {response.status_code}")
    if hashlib.sha256(response.content).hexdigest() != jar.sha256:
        raise _unavailable(jar, "its checksum is not the locked one")
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(descriptor, "wb") as file:
        file.write(response.content)
    os.replace(name, folder / jar.file_name)


def _unavailable(jar: Jar, reason: str) -> LocalStackError:
    # The address is left out: it may hold the credentials of a private repository.
    return LocalStackError(
        f"cannot download {jar.file_name} ({reason}): check the network, or name another Maven repository in "
        f"{REPOSITORY_VARIABLE}"
    )
