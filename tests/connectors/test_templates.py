from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.connector import ConnectorError
from connectors.manifest import load_manifest
from connectors.template import Template
from connectors.testkit import request_for
from tests.connectors.venue import MANIFEST


@pytest.fixture
def template(tmp_path: Path) -> Template:
    tree = yaml.safe_load(MANIFEST)
    tree["requires"] = {"secrets": ["ACME_KEY"]}
    tree["options"] = {"depth": {"type": "integer", "default": 10}, "channels": {"type": "list", "default": ["a", "b"]}}
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    manifest = load_manifest(tmp_path / "acme.yaml")
    return Template(request_for(manifest, symbols=["X", "Y"], secrets={"ACME_KEY": "k{depth}"}))


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"op": "subscribe"}, [{"op": "subscribe"}]),
        ({"sub": "{symbol}"}, [{"sub": "X"}, {"sub": "Y"}]),
        ({"args": ["t.{symbol}"]}, [{"args": ["t.X", "t.Y"]}]),
        ({"args": [{"ch": "t", "id": "{symbol}"}]}, [{"args": [{"ch": "t", "id": "X"}, {"ch": "t", "id": "Y"}]}]),
        ({"chs": [{"name": "t", "ids": ["{symbol}"]}]}, [{"chs": [{"name": "t", "ids": ["X", "Y"]}]}]),
        ({"ids": "{symbols}", "all": "s={symbols}"}, [{"ids": ["X", "Y"], "all": "s=X,Y"}]),
        ({"depth": "{depth}", "at": "d{depth}"}, [{"depth": 10, "at": "d10"}]),
        ({"key": "${ACME_KEY}"}, [{"key": "k{depth}"}]),  # a secret is no template
        ({"chs": "{channels}", "n": 1, "x": None}, [{"chs": ["a", "b"], "n": 1, "x": None}]),
        ("SUB {symbol}", ["SUB X", "SUB Y"]),
        ([["t", "{symbol}"]], [[["t", "X", "Y"]]]),
    ],
)
def test_messages_are_filled_in(template: Template, message: Any, sent: list[Any]) -> None:
    assert template.messages(message) == sent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{dept}", "{dept} is no option of its manifest; did you mean depth?"),
        ("${ACME_KY}", "${ACME_KY} is no secret of its manifest; did you mean ACME_KEY?"),
    ],
)
def test_a_place_for_what_the_manifest_does_not_have_is_refused(template: Template, text: str, said: str) -> None:
    with pytest.raises(ConnectorError) as raised:
        template.text(text)
    assert said in raised.value.line
