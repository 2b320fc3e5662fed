"""The golden envelopes: each says what a record of its type looks like, and mdp reads it as such."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from codec.encoding import PayloadCodec
from contracts.envelope import ENVELOPE_V1, payload_of
from contracts.golden import FOLDER, Golden, GoldenError, read_golden
from contracts.headers import HeaderError, decode_headers, encode_headers
from contracts.message import SCHEMAS
from contracts.message_ids import message_id
from contracts.registry import message_type
from contracts.schema_names import schema_ref_of
from contracts.timestamps import parse_timestamp

FIXTURE = Path(__file__).resolve().parents[1] / "data" / "bus_fixture.json"
BUS = os.environ.get("MDP_TEST_AMPY_BUS", "")  # a checkout of the bus whose contract this is
BUS_FILES = sorted(Path(BUS).glob("golden/*/*.json")) if BUS else []
FILES = sorted(FOLDER.glob("*/*.json"))
TYPES = {
    "trades/v2",
    "quotes/v2",
    "orderbook/v1",
    "gex/levels/v1",
    "news/v1",
    "calendar/v1",
    "risk/greeks/v1",
    "bars/v1",
    "signals/v1",
    "control/replay_request/v1",
    "control/heartbeat/v1",
    "control/replay_status/v1",
    "control/gap/v1",
    "control/connector_position/v1",
}


def read(file: Path) -> Golden:
    return read_golden(file.read_bytes())


def name(file: Path) -> str:
    return f"{file.parent.name}-{file.stem}"


def value_of(golden: Golden) -> dict[str, object] | None:
    """The content of the record, unpacked; None where it lies elsewhere."""
    headers = golden.message_headers()
    if headers.blob_ref is not None:
        return None
    content: dict[str, object] = msgspec.json.decode(PayloadCodec().decode(golden.value, headers))
    return content


def test_each_type_has_a_typical_a_minimal_and_an_edge_case() -> None:
    for kind in TYPES:
        cases = {file.stem for file in FILES if file.parent.name == kind.replace("/", "-")}
        assert cases >= {"typical", "minimal", "edge"}, kind
    assert {file.parent.name for file in FILES} == {kind.replace("/", "-") for kind in TYPES}


@pytest.mark.parametrize("file", FILES, ids=name)
def test_headers_say_the_type_of_the_folder_and_go_there_and_back(file: Path) -> None:
    golden = read(file)
    headers = golden.message_headers()
    assert decode_headers(encode_headers(headers)) == headers
    assert sorted(encode_headers(headers)) == sorted(golden.pairs)
    assert schema_ref_of(headers.schema_fqdn).removeprefix(SCHEMAS).replace("/", "-") == file.parent.name
    major = headers.schema_version.partition(".")[0]
    assert headers.schema_fqdn.endswith(f".v{major}")


@pytest.mark.parametrize("file", FILES, ids=name)
def test_an_envelope_tells_of_itself_what_its_headers_do(file: Path) -> None:
    golden = read(file)
    headers, value = golden.message_headers(), value_of(golden)
    if value is None or "schema_ref" not in value:
        return
    assert value["schema_ref"] == schema_ref_of(headers.schema_fqdn)
    assert value["source_id"] == headers.source
    assert value["event_id"] == headers.message_id
    assert golden.topic.endswith(f".{value['event_type']}")


@pytest.mark.parametrize("file", FILES, ids=name)
def test_ids_are_those_that_mdp_derives(file: Path) -> None:
    golden = read(file)
    headers, value = golden.message_headers(), value_of(golden)
    if value is None or headers.dedupe_key is None:
        return
    time = value.get("event_time") or value.get("window_end") or value["ts"]
    derived = message_id(parse_timestamp(str(time)), headers.schema_fqdn, headers.dedupe_key.encode())
    assert headers.message_id == derived


@pytest.mark.parametrize("file", FILES, ids=name)
def test_payloads_are_of_their_type_there_and_back(file: Path) -> None:
    golden = read(file)
    headers = golden.message_headers()
    kind = message_type(schema_ref_of(headers.schema_fqdn))
    assert headers.schema_version == kind.version
    if headers.blob_ref is not None:
        return
    value = PayloadCodec().decode(golden.value, headers)
    message = kind.decode(value) if kind.event_type is None else payload_of(ENVELOPE_V1.decode(value), kind)
    assert kind.decode(kind.encode(message)) == message


def test_a_file_may_leave_the_id_and_the_run_to_whoever_sends_it() -> None:
    golden = read(FIXTURE)
    with pytest.raises(HeaderError, match="message_id, run_id: missing"):
        decode_headers(golden.pairs)
    headers = golden.message_headers()
    assert golden.value == b"\n\x03EUR\x12\x03CHF"
    assert headers == read(FIXTURE).message_headers()
    assert (headers.run_id, headers.partition_key) == ("golden", "EUR.CHF")
    other = {**json.loads(FIXTURE.read_text()), "payload_hex": "00"}
    assert read_golden(json.dumps(other).encode()).message_headers().message_id != headers.message_id


@pytest.mark.skipif(not BUS, reason="MDP_TEST_AMPY_BUS names no checkout of ampy-bus")
def test_the_golden_envelopes_of_the_bus_itself_are_read_and_written_as_they_are() -> None:
    assert len(BUS_FILES) >= 9
    for file in BUS_FILES:
        golden = read(file)
        headers = golden.message_headers()
        written = dict(encode_headers(headers))
        assert {name: written.get(name) for name, value in golden.pairs if value} == {
            name: value for name, value in golden.pairs if value
        }
        assert headers.schema_fqdn.split(".")[1] == file.parent.name
        assert isinstance(golden.value, bytes)


def test_a_header_that_is_missing_besides_these_is_missed() -> None:
    content = json.loads(FIXTURE.read_text())
    del content["headers"]["producer"]
    with pytest.raises(HeaderError, match="header producer: missing"):
        read_golden(json.dumps(content).encode()).message_headers()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"topic": "t"}', '{"topic": 1, "headers": {}}', "\xff"])
def test_what_is_no_golden_envelope_is_refused(text: str) -> None:
    with pytest.raises(GoldenError):
        read_golden(text.encode("latin-1"))


@pytest.mark.parametrize("payload", [{"payload_base64": "!"}, {"payload_b64": "CgN"}, {"payload_hex": "0g"}])
def test_a_payload_that_cannot_be_read_is_refused(payload: dict[str, str]) -> None:
    with pytest.raises(GoldenError, match="the payload cannot be read"):
        _ = read_golden(json.dumps({"topic": "t", "headers": {}, **payload}).encode()).value
