"""Secrets: read from a file kept apart from the config, and masked in every text that leaves the process."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from contracts.errors import MdpError

FILE: Final = "MDP_SECRETS"  # environment variable: where the file is
MASK: Final = "**********"  # as pydantic shows a secret

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TELLING: Final = re.compile(r"password|passphrase|passwd|secret|token|credential|key[._]pem|oauthbearer\.config", re.I)
_SHORTEST: Final = 4  # whatever is shorter stands in ordinary words too

_known: set[str] = set()


class SecretsError(MdpError):
    """The secrets file cannot be used; one line says what to do, and nothing of what is in it."""


def read() -> dict[str, str]:
    """The variables of the file that $MDP_SECRETS names, by name; none without such a file.

    Each line is `NAME=value`, the value as it stands; empty lines and those that begin with # say nothing.

    Raises:
        SecretsError: the file cannot be read, others than its owner may read it, or a line is something else.
    """
    given = os.environ.get(FILE)
    if not given:
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(_private_text(Path(given)).splitlines(), 1):
        name, separator, value = (part.strip() for part in line.partition("="))
        if not name or name.startswith("#"):
            continue
        if not separator or not _NAME.fullmatch(name):
            raise SecretsError(f"{given}, line {number}: write it as NAME=value")
        found[name] = value
    remember(*found.values())
    return found


def _private_text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SecretsError(f"{path} can be read by others than its owner: run `chmod 600 {path}`")
            return file.read()
    except OSError as error:
        raise SecretsError(f"{path}: {error.strerror}; {FILE} names the file of secrets") from None
    except UnicodeDecodeError:
        raise SecretsError(f"{path} is not UTF-8 text of NAME=value lines") from None


def is_telling(name: str) -> bool:
    """Whether a variable or an option of this name holds a secret."""
    return _TELLING.search(name) is not None


def remember(*values: str) -> None:
    """Mask these values from now on, also as Python or a URL would write them."""
    for value in values:
        if len(value) >= _SHORTEST:
            _known.update((value, repr(value)[1:-1], quote(value, safe="")))


def masked(text: str) -> str:
    """`text` without any secret that this process has come to know."""
    for secret in sorted(_known, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, MASK)
    return text


def masked_tree(value: Any) -> Any:
    """The same of all texts in a tree of mappings and lists."""
    if isinstance(value, Mapping):
        return {key: masked_tree(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [masked_tree(part) for part in value]
    return masked(value) if isinstance(value, str) else value
