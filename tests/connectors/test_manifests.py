from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from connectors.connector import ConnectorError
from connectors.manifest import ManifestError, load_manifest
from connectors.registry import find, installed
from tests.connectors.venue import MANIFEST
from tests.harness import PROJECT

WORKED = sorted((PROJECT / "configs" / "connectors").glob("*.yaml"))
SOURCE_EXAMPLE = """\
connector_id: barchart
version: 1.2.0
emits:
  - event_type: gex.levels
    schema_ref: utp://schemas/gex/levels/v1
requires:
  secrets: [BARCHART_API_KEY]
  nets: [internet]
  deps: ["utp-core>=0.3.0"]
capabilities:
  batching: true
  backfill: true
rate_limits:
  max_rps: 5
  burst: 10
health:
  endpoint: /health
"""


def manifest(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "acme.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_manifest_of_the_source_document_is_taken_as_it_stands(tmp_path: Path) -> None:
    found = load_manifest(manifest(tmp_path, SOURCE_EXAMPLE))
    assert (found.connector_id, found.version) == ("barchart", "1.2.0")
    assert found.requires.secrets == ("BARCHART_API_KEY",)
    assert found.capabilities.backfill
    assert (found.rate_limits.max_rps, found.rate_limits.burst) == (5.0, 10)
    assert found.health.endpoint == "/health"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("connector_id: acme", "connector: acme", "connector is not a known key; did you mean connector_id?"),
        ("version: 1.0.0", "version: 1", "version: Input should be a valid string"),
        ("event_type: trades.tick", "event_type: trades.tock", "the event_type of trades/v2 is trades.tick"),
        ("schemas/trades/v2", "schemas/trades/v9", "'utp://schemas/trades/v9'; did you mean trades/v2?"),
        ("uses: websocket", "uses: http", "websocket is for a connector that says `uses: websocket`"),
        ("  type: trades/v2", "  type: quotes/v2", "quotes/v2 has no such field"),
        ("price: p,", "", "fields lacks price, which every message of trades/v2 has"),
        ("price: p,", "prize: p,", "fields.prize: trades/v2 has no such field; did you mean price?"),
        ("event_time: { path: t, unit: ms }", "event_time: { path: t, unit: min }", "unit"),
        ("subscribe:", "subscribed:", "websocket.subscribed is not a known key; did you mean subscribe?"),
        ("uses: websocket", "uses: websocket\nstale_after: 30", "stale_after"),
        ("uses: websocket", "uses: websocket\ndrop: [quotes.tick]", "drop: quotes.tick is not emitted"),
        ("required: true", "required: true, default: x", "an option that is required has no default"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in MANIFEST
    with pytest.raises(ManifestError) as raised:
        load_manifest(manifest(tmp_path, MANIFEST.replace(old, new)))
    assert said in raised.value.line
    assert str(tmp_path / "acme.yaml") in raised.value.line
    assert "\n" not in raised.value.line


def test_a_mapping_may_lie_in_a_file_beside_the_manifest(tmp_path: Path) -> None:
    tree = yaml.safe_load(MANIFEST)
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(tree["mapping"]), encoding="utf-8")
    beside = load_manifest(manifest(tmp_path, yaml.safe_dump(tree | {"mapping": "mapping.yaml"})))
    assert beside.mapping == load_manifest(manifest(tmp_path, MANIFEST)).mapping


def test_a_type_that_is_mapped_to_has_to_be_among_those_that_are_emitted(tmp_path: Path) -> None:
    tree = yaml.safe_load(MANIFEST)
    tree["emits"] = [{"event_type": "quotes.tick", "schema_ref": "utp://schemas/quotes/v2"}]
    with pytest.raises(ManifestError, match="mapping leads to trades/v2, which is not among `emits`"):
        load_manifest(manifest(tmp_path, yaml.safe_dump(tree)))


def test_the_manifests_of_all_connectors_are_valid_and_their_classes_are_connectors() -> None:
    found = {one.manifest.connector_id: one for one in installed()}
    assert {"websocket", "http", "ingest"} <= found.keys()
    for one in found.values():
        if one.manifest.extra is None:
            one.load()


@pytest.mark.parametrize("file", WORKED, ids=lambda file: file.stem)
def test_the_worked_manifests_are_valid(file: Path) -> None:
    assert find(str(file)).manifest.mapping


def test_an_unknown_connector_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match=r"no connector is called 'websockets'; did you mean websocket\?"):
        find("websockets")
    tree = yaml.safe_load(MANIFEST) | {"uses": "htp"}
    del tree["websocket"]
    with pytest.raises(ConnectorError, match=r"no connector is called 'htp'; did you mean http\?"):
        find(str(manifest(tmp_path, yaml.safe_dump(tree))))


def test_a_connector_for_any_feed_needs_a_manifest_of_ones_own() -> None:
    with pytest.raises(ConnectorError) as raised:
        find("websocket")
    assert "write a manifest with `uses: websocket`" in raised.value.line
