from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mdp.local import LocalStackError
from mdp.local.jars import Jar, fetch, read_lock

CONTENT = b"the jar"
JAR = Jar("org.example.deep", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "repository"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MDP_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield folder
        server.shutdown()


def publish(repository: Path, content: bytes) -> None:
    file = repository / "org/example/deep/thing/1.0/thing-1.0.jar"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def test_a_missing_jar_is_downloaded_once(repository: Path, tmp_path: Path) -> None:
    publish(repository, CONTENT)
    said: list[str] = []
    (path,) = fetch(tmp_path / "cache", said.append, [JAR])
    assert path.read_bytes() == CONTENT
    assert len(said) == 1
    assert "1 jars" in said[0]
    assert fetch(tmp_path / "cache", said.append, [JAR]) == [path]
    assert len(said) == 1


def test_another_jar_than_the_locked_one_is_refused(repository: Path, tmp_path: Path) -> None:
    publish(repository, b"something else")
    with pytest.raises(LocalStackError, match=r"thing-1\.0\.jar.*checksum"):
        fetch(tmp_path / "cache", print, [JAR])
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("repository")
def test_a_jar_that_the_repository_lacks(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=r"thing-1\.0\.jar \(status 404\).*MDP_MAVEN_REPOSITORY"):
        fetch(tmp_path / "cache", print, [JAR])


def test_an_unreachable_repository_is_one_line_without_its_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_MAVEN_REPOSITORY", "http://user:geheim@127.0.0.1:1/maven")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(LocalStackError, match="check the network") as caught:
        fetch(tmp_path / "cache", print, [JAR])
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_new_jars_outdate_the_start_cache(repository: Path, tmp_path: Path) -> None:
    publish(repository, CONTENT)
    stale = tmp_path / "cache" / "java.aot"
    stale.parent.mkdir()
    stale.touch()
    fetch(stale.parent, print, [JAR])
    assert not stale.exists()


def test_the_lock_pins_every_jar() -> None:
    jars = read_lock()
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}
    assert len({jar.file_name for jar in jars}) == len(jars) == 34
    assert all(len(jar.sha256) == 64 for jar in jars)
