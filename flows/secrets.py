"""Secrets: read from a file separate from the config, and masked in all output of the process."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from contracts.errors import MdpError

FILE: Final = "MDP_SECRETS"  # environment variable: path of the file
MASK: Final = "**********"  # as pydantic shows a secret

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TELLING: Final = re.compile(r"password|passphrase|passwd|secret|token|credential|key[._]pem|oauthbearer\.config", re.I)
_SHORTEST: Final = 4  # shorter strings occur in ordinary words, too

_known: set[str] = set()


class SecretsError(MdpError):
    """The secrets file is invalid; one line says what to do, without its contents."""


def read() -> dict[str, str]:
    """Returns the variables of the file named by $MDP_SECRETS; none without it.

    Each line is `NAME=value`, with a literal value; empty lines and lines that begin with # are ignored.

    Raises:
        SecretsError: the file cannot be read, others than its owner may read it, or a line is invalid.
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
        raise SecretsError(f"{path}: {error.strerror}; {FILE} must name the secrets file") from None
    except UnicodeDecodeError:
        raise SecretsError(f"{path} is not UTF-8 text of NAME=value lines") from None


def named(names: Sequence[str]) -> dict[str, str]:
    """The secrets of these names, which are masked from now on.

    Each is the environment variable, or what the file holds that the variable NAME_FILE names, or in the file of
    $MDP_SECRETS.

    Raises:
        SecretsError: one is in none of them, or a file cannot be used.
    """
    known = read() if names else {}
    found = {name: os.environ.get(name) or _of_file(name) or known.get(name, "") for name in names}
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise SecretsError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            f"set the environment variable, or {missing[0]}_FILE to a file that holds it",
        )
    remember(*found.values())
    return found


def _of_file(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretsError(f"{path}: {error.strerror}; {name}_FILE must name a file that holds the secret") from None
    except UnicodeDecodeError:
        raise SecretsError(f"{path} is not UTF-8 text; {name}_FILE must name a file that holds the secret") from None


def is_secret(name: str) -> bool:
    """Whether a variable or an option with this name holds a secret."""
    return _TELLING.search(name) is not None


def remember(*values: str) -> None:
    """Mask these values from now on, including their forms in Python literals and URLs."""
    for value in values:
        if len(value) >= _SHORTEST:
            _known.update((value, repr(value)[1:-1], quote(value, safe="")))


def masked(text: str) -> str:
    """`text` with all known secrets masked."""
    for secret in sorted(_known, key=len, reverse=True):  # one may contain another
        text = text.replace(secret, MASK)
    return text


def masked_tree(value: Any) -> Any:
    """A tree of mappings and lists with the secrets in all its strings masked."""
    if isinstance(value, Mapping):
        return {key: masked_tree(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [masked_tree(part) for part in value]
    return masked(value) if isinstance(value, str) else value
