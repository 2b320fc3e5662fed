"""Numbers in tables and lines, for people."""

from __future__ import annotations

import pytest

from mdp.cli.output import number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (-0.1, "-0.1"),
        (105433.6, "105433.6"),
        (1 / 3, "0.3333333333"),
        (2.1e-06, "0.0000021"),
        (2.1e-10, "2.1e-10"),
        (-1.5e-18, "-1.5e-18"),
        (123456789012.5, "123456789012"),
        (999_999_999_999_999.0, "999999999999999"),
        (1e15, "1e15"),
        (1e18, "1e18"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_a_number_of_any_size_can_be_read(value: float, text: str) -> None:
    assert number_text(value) == text
