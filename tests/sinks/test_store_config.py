from __future__ import annotations

from urllib.parse import unquote

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError

from sinks.store_config import StoreConfig


def configured(url: str) -> StoreConfig:
    """As a config file has it."""
    return StoreConfig.model_validate({"url": url})


@pytest.mark.parametrize(
    "url", ["embedded", "embedded/replayed", "postgresql://u:p@h:5432/db", "host=h dbname=db user=u"]
)
def test_urls_and_connection_strings_are_taken(url: str) -> None:
    assert configured(url).url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    ["", "embedded/", "embedded/A;B", "postgresql://", "mysql:/hunter2", "postgresql://u:hunter2@h:5432/db?nonsense=1"],
)
def test_what_libpq_cannot_read_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="postgresql://user:password@host") as caught:
        configured(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:hunter2@h/db\n", "holds a line break or a blank"),
        ("postgresql://u:hun\nter2@h/db", "holds a line break or a blank"),
        ("postgresql://u:hunter2@h/db ", "holds a line break or a blank"),
        ("postgresql://u:hun ter2@h/db", "holds a line break or a blank"),
        ("postgresql://u:hunter2@h\x00/db", "holds a line break or a blank"),
        ("postgresql://u:hunt@er2@h/db", "at an @ or / of its own"),
        ("postgres://u:hunter2@@h:5432/db", "at an @ or / of its own"),
        ("postgresql://u:hunt/er2@h:5432/db", "at an @ or / of its own"),
        ("postgresql://u:12/hunter2@h/db", "at an @ or / of its own"),
        ("postgresql://u:hunt@er/2@h/db", "at an @ or / of its own"),
        ("postgresql://u:hunt%er2@h/db", "neither 'embedded' nor a URL"),
    ],
)
def test_what_a_password_may_not_hold_as_it_is_is_said_with_what_to_write_instead(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        configured(url)
    assert "write @ as %40, / as %2F and % as %25" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("hunt", "er2", "ter2"))


@pytest.mark.parametrize("password", ["p#w", "p:w", "p?w", "p&w=1", "p[w]", "p%40w", "p%2Fw%25", "p%0Aw", "pé"])
def test_what_a_password_may_hold_is_part_of_it(password: str) -> None:
    url = configured(f"postgresql://u:{password}@h:5432/db").url.get_secret_value()
    found = conninfo_to_dict(url)
    assert (found["password"], found["host"], found["dbname"]) == (unquote(password), "h", "db")


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://h/db?user=me@server&password=p/w", "postgresql:///db?host=/tmp", "postgresql://a:1,b:2/db"),
        *("host=h\n  dbname=db\n", "host=h password='p@ /w'", "postgresql://u@[::1]:5432/db"),
    ],
)
def test_what_only_looks_like_a_password_that_is_cut_short_is_taken(url: str) -> None:
    assert configured(url).url.get_secret_value() == url


def test_a_password_is_never_printed() -> None:
    config = configured("postgresql://u:hunter2@h/db")
    assert "hunter2" not in repr(config) + config.model_dump_json()


@pytest.mark.parametrize("key", ["retention", "compress_after"])
@pytest.mark.parametrize("text", ["1h", "30", "0d", "forever"])
def test_ages_are_durations_of_a_day_or_longer(key: str, text: str) -> None:
    with pytest.raises(ValidationError):
        StoreConfig.model_validate({key: text})
