from __future__ import annotations

import pytest
from pydantic import ValidationError

from sinks.store_config import StoreConfig


@pytest.mark.parametrize(
    "url", ["embedded", "embedded/replayed", "postgresql://u:p@h:5432/db", "host=h dbname=db user=u"]
)
def test_urls_and_connection_strings_are_taken(url: str) -> None:
    assert StoreConfig(url=url).url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    ["", "embedded/", "embedded/A;B", "postgresql://", "mysql:/hunter2", "postgresql://u:hunter2@h:5432/db?nonsense=1"],
)
def test_what_libpq_cannot_read_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="postgresql://user:password@host") as caught:
        StoreConfig(url=url)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_never_printed() -> None:
    config = StoreConfig(url="postgresql://u:hunter2@h/db")
    assert "hunter2" not in repr(config) + config.model_dump_json()


@pytest.mark.parametrize("key", ["retention", "compress_after"])
@pytest.mark.parametrize("text", ["1h", "30", "0d", "forever"])
def test_ages_are_durations_of_a_day_or_longer(key: str, text: str) -> None:
    with pytest.raises(ValidationError):
        StoreConfig.model_validate({key: text})
