"""Who may see the page, asked over HTTP."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.settings import Settings
from mdp.serve.server import PageServer, ServeError
from tests.harness import PROJECT

TOKEN = "correct horse battery staple"
AWAY = Settings.model_validate({"store": {"url": "postgresql://127.0.0.1:1/none"}, "telemetry": {"metrics_port": 0}})


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


@contextmanager
def server(host: str, token: str | None) -> Iterator[PageServer]:
    page = PageServer(AWAY, host, 0, token)
    page.start()
    try:
        yield page
    finally:
        page.stop()


@pytest.fixture(scope="module")
def local() -> Iterator[PageServer]:
    with server("127.0.0.1", None) as page:
        yield page


@pytest.fixture(scope="module")
def guarded() -> Iterator[PageServer]:
    with server("0.0.0.0", TOKEN) as page:
        yield page


def ask(page: PageServer, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())


def cookie(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize("path", ["/", "/health", "/static/main.js", "/static/lightweight-charts.js"])
def test_on_the_loopback_address_everybody_of_the_machine_is_let_in(local: PageServer, path: str) -> None:
    assert ask(local, path).status == 200


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1", "127.0.0.2:8501", "[::1]:8501"])
def test_loopback_names_are_served(local: PageServer, host: str) -> None:
    assert ask(local, "/", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8501", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/api/stream", "/static/main.js"])
def test_a_name_that_was_rebound_to_the_loopback_address_is_not(local: PageServer, host: str, path: str) -> None:
    assert ask(local, path, Host=host).status == 421


def test_browsers_are_told_to_load_and_run_what_is_ours_only(local: PageServer) -> None:
    for path in ("/", "/static/main.js", "/nothing", "/api/history"):
        headers = ask(local, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert "server" not in headers
    page = ask(local, "/").body
    assert "<script>" not in page
    assert "style=" not in page
    assert "onclick" not in page


@pytest.mark.parametrize("path", ["/", "/api/stream", "/api/history", "/?token=", "/?token=wrong", "/x"])
def test_elsewhere_nothing_is_shown_without_the_token(guarded: PageServer, path: str) -> None:
    answer = ask(guarded, path, Cookie=f"mdp_page_{guarded.port}=wrong")
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


def test_the_token_in_the_address_is_needed_once(guarded: PageServer) -> None:
    first = ask(guarded, f"/?token={TOKEN.replace(' ', '%20')}", Host="page.example")
    assert first.status == 200
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "samesite=strict" in first.headers["set-cookie"].lower()
    assert "correct" not in first.headers["set-cookie"]
    assert ask(guarded, "/", Cookie=cookie(first)).status == 200
    assert ask(guarded, "/api/history", Cookie=cookie(first)).status == 400  # let in, and told what is missing


def test_the_form_lets_in_who_knows_the_token(guarded: PageServer) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(guarded, "/login", "POST", "token=wrong", **form).status == 401
    assert ask(guarded, "/login", "POST", "token=" + "x" * 10_000, **form).status == 400
    answer = ask(guarded, "/login", "POST", f"token={TOKEN.replace(' ', '+')}", **form)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert ask(guarded, "/", Cookie=cookie(answer)).status == 200


def test_health_needs_no_token_and_no_database(guarded: PageServer) -> None:
    assert ask(guarded, "/health").body == "ok\n"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("provider=p&interval=1s", 400),
        ("provider=p&interval=1s&symbol=%00", 400),
        ("provider=p&interval=1s&symbol=" + "x" * 257, 400),
        ("provider=p&interval=soon&symbol=s", 400),
        ("provider=p&interval=1s&symbol=s&before=soon", 400),
        ("provider=p&interval=1s&symbol=s&before=" + "9" * 30, 400),
        ("provider=p&interval=1s&symbol=s&rollup=2h", 400),
        ("provider=p&interval=1s&symbol=s&order=luck", 400),
        ("provider=p&interval=1s&symbol=s&features=%00", 400),
        ("provider=p&interval=1s&symbol=s&rollup=1h&features=a,b", 503),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_line(local: PageServer, query: str, status: int) -> None:
    answer = ask(local, f"/api/history?{query}")
    assert (answer.status, answer.body.count("\n")) == (status, 1)


def test_a_stream_of_what_no_flow_makes_is_refused_and_the_page_lives_on(local: PageServer) -> None:
    answer = ask(local, "/api/stream?provider=p&symbol=s&interval=soon")
    assert (answer.status, answer.body.count("\n")) == (400, 1)
    assert ask(local, "/health").status == 200


def test_files_beside_the_pages_own_are_not_served(local: PageServer) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"):
        assert ask(local, path).status == 404


def test_an_address_beyond_the_machine_is_refused_without_a_token() -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(ServeError, match="--token-file"):
            PageServer(AWAY, host, 0, None)


def test_a_port_that_is_taken_is_told(local: PageServer) -> None:
    with pytest.raises(ServeError, match=f"port {local.port}.*--port"):
        PageServer(AWAY, "127.0.0.1", local.port, None)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(TOKEN, 0o644, "chmod 600"), ("short", 0o600, "16 characters"), (None, 0, "No such file")],
)
def test_a_token_file_that_is_no_use_ends_in_one_line(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    arguments = [
        "serve",
        "--host",
        "0.0.0.0",
        "--token-file",
        str(file),
        "--set",
        "store.url=postgresql://127.0.0.1:1/x",
    ]
    command = [sys.executable, "-c", "from mdp.cli import main; main()", *arguments, "--set", "bus.kafka.brokers=x:1"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=PROJECT)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
