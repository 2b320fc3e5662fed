"""The connectors that there are: those of mdp, of installed packages, and files of one's own.

Each is an entry point of the group `mdp.connectors`, whose name is the connector's and whose value its class; the
manifest lies in the package of the class. So a manifest can be read without importing the libraries of its venue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from connectors.connector import Connector, ConnectorError
from connectors.manifest import FILE, Manifest, load_manifest
from contracts.suggestions import did_you_mean

ENTRY_POINTS: Final = "mdp.connectors"

_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Registered:
    """A connector that can be run.

    Attributes:
        manifest: its own.
        entry: where its class is.
    """

    manifest: Manifest
    entry: EntryPoint

    def load(self) -> type[Connector]:
        """The class.

        Raises:
            ConnectorError: a package that it needs is not installed, or it is no connector.
        """
        name, extra = self.manifest.connector_id, self.manifest.extra
        try:
            found = self.entry.load()
        except (ImportError, AttributeError) as error:
            remedy = f"pip install 'mdp[{extra}]'" if extra else "install the package that it needs"
            raise ConnectorError(f"connector {name} cannot be imported: {error}", remedy) from error
        if not (isinstance(found, type) and issubclass(found, Connector)):
            raise ConnectorError(f"connector {name}: {self.entry.value} is no Connector")
        return found


def find(connector: str) -> Registered:
    """A connector by its name, or by the file of its manifest.

    Raises:
        ConnectorError: there is none of this name, or the file does not say whose code it uses.
        ManifestError: the manifest is invalid.
    """
    if connector.endswith(_SUFFIXES):
        return _of_file(Path(connector))
    found = _registered(connector)
    if not found.manifest.emits:
        raise ConnectorError(
            f"{connector} takes any feed that a manifest describes",
            f"write a manifest with `uses: {connector}`, and name its file",
        )
    return found


def installed() -> Iterator[Registered]:
    """All that have names, in the order of these.

    Raises:
        ManifestError: a manifest is invalid.
    """
    for name in sorted(_entries()):
        yield _registered(name)


def _of_file(file: Path) -> Registered:
    manifest = load_manifest(file)
    if manifest.uses is None:
        raise ConnectorError(f"{file} does not say whose code it uses", "write `uses: websocket`, or another connector")
    if not manifest.emits:
        raise ConnectorError(f"{file}: emits is empty", "say which types of messages its mapping leads to")
    used = _registered(manifest.uses)
    return Registered(manifest.completed_by(used.manifest), used.entry)


def _registered(name: str) -> Registered:
    entry = _entry(name)
    manifest = load_manifest(_folder(entry) / FILE)
    if manifest.connector_id != name:
        raise ConnectorError(f"connector {name} has the manifest of {manifest.connector_id}")
    return Registered(manifest, entry)


def _entry(name: str) -> EntryPoint:
    entries = _entries()
    if name not in entries:
        known = did_you_mean(name, entries) or f"; there are {', '.join(sorted(entries))}"
        raise ConnectorError(f"no connector is called {name[:100]!r}{known}")
    return entries[name]


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _folder(entry: EntryPoint) -> Path:
    """The folder of the package of its class, which is not imported."""
    package = entry.module.rpartition(".")[0]
    spec = find_spec(package) if package else None
    if spec is None or not spec.submodule_search_locations:
        raise ConnectorError(f"connector {entry.name}: {entry.value} is in no package with a {FILE}")
    return Path(spec.submodule_search_locations[0])
