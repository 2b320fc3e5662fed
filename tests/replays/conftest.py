from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.replays.replay_site import ReplaySite


@pytest.fixture
def site(kafka: str, topic: Callable[..., str]) -> Callable[..., ReplaySite]:
    """Makes topics of the test's own; arguments are keys of section `replay`."""

    def create(**replay: object) -> ReplaySite:
        return ReplaySite.create(kafka, topic, **replay)

    return create
