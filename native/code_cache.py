"""Machine code compiled by Numba, kept from one process to the next.

Numba's own cache checks the modification time of the function's source file. It misses a changed constant imported from
another file, and a cache file truncated by a crash ends every start. Here a cache file is named by a digest of all
sources of the code, so that code compiled from other sources is not found, and an unreadable file is compiled again.
No fault of these files stops a process.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import llvmlite
import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

_PROJECT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("contracts", "native", "features")
_MODULE: Final = rf"(?:{'|'.join(_PACKAGES)})\b[.\w]*"
_IMPORT: Final = re.compile(rf"^\s*(?:from|import) ({_MODULE})(?: import (?=([\w\s,(]+)))?", re.MULTILINE)
_VERSIONS: Final = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
_DIGEST_BYTES: Final = 32
_STALE_SECONDS: Final = 30 * 86_400

_rebuild: Final[Callable[..., Any]] = CompileResult._rebuild


class CodeCache(NullCache):
    """The cache of one function: a file for each signature, in the first of the folders that has it or is writable."""

    def __init__(self, function: Callable[..., Any]) -> None:
        file = Path(function.__code__.co_filename).resolve()
        self._name = f"{file.stem}.{function.__qualname__}"
        self._source = digest_of(file), function.__code__.co_code

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for the signature; None if it is not cached or cannot be used."""
        target_context.refresh()
        name = self._file_name(sig, target_context.codegen())
        for folder in folders():
            try:
                content = (folder / name).read_bytes()
                digest, pickled = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
                if hashlib.sha256(pickled).digest() == digest:
                    return _rebuild(target_context, *pickle.loads(pickled))  # noqa: S301 - trusted as .pyc files are
            except Exception:  # noqa: S112 - the code is then compiled again
                continue
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save what was compiled in the first writable folder, unless it contains addresses of this process."""
        if data.library.has_dynamic_globals:
            return
        pickled = dumps(data._reduce())  # type: ignore[no-untyped-call]
        content = hashlib.sha256(pickled).digest() + pickled
        name = self._file_name(sig, data.codegen)
        folder = next((folder for folder in folders() if _written(folder, name, content)), None)
        if folder is not None:
            _remove_stale(folder, self._name)

    def _file_name(self, sig: Any, codegen: Any) -> str:
        made_from = (self._source, str(sig), codegen.magic_tuple(), _VERSIONS)
        return f"{self._name}-{hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]}.bin"


def folders() -> list[Path]:
    """Folders for cache files: next to the sources, then in the user's cache; only NUMBA_CACHE_DIR if it is set."""
    if (configured := os.environ.get("NUMBA_CACHE_DIR")) is not None:
        return [Path(configured)]
    found = [_PROJECT / "native" / "__pycache__" / "compiled"]
    with suppress(RuntimeError):  # the user has no home directory
        found.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mdp" / "compiled")
    return found


@cache
def digest_of(file: Path) -> str:
    """Digest of a source file and of all files of the project that it imports from."""
    sources, waiting = dict[Path, bytes](), [file]
    while waiting:
        if (source := waiting.pop()) not in sources:
            sources[source] = _bytes_of(source)
            waiting += _imported(source)
    return hashlib.sha256(b"\0".join(sources[source] for source in sorted(sources))).hexdigest()


@cache
def _bytes_of(file: Path) -> bytes:
    return file.read_bytes()


@cache
def _imported(file: Path) -> list[Path]:
    return list(_imports_of(_bytes_of(file).decode()))


def _imports_of(text: str) -> Iterator[Path]:
    for name, imported in _IMPORT.findall(text):
        module = _PROJECT.joinpath(*name.split("."))
        if module.is_dir():
            modules = (module / f"{part}.py" for part in ("__init__", *re.findall(r"\w+", imported)))
            yield from filter(Path.is_file, modules)
        else:
            yield module.with_suffix(".py")


def _written(folder: Path, name: str, content: bytes) -> bool:
    """Write the file atomically; return whether the folder is writable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            try:
                file.write(content)
                file.close()
                Path(file.name).replace(folder / name)
            except OSError:
                Path(file.name).unlink()
                raise
    except OSError:
        return False
    return True


def _remove_stale(folder: Path, function: str) -> None:
    """Remove the cache files of old versions of the function."""
    oldest = time.time() - _STALE_SECONDS
    with suppress(OSError):
        for file in folder.glob(f"{function}-*.bin"):
            if file.stat().st_mtime < oldest:
                file.unlink()
