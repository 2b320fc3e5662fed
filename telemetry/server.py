"""Serves /metrics, /health and /ready of a worker over HTTP."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, ClassVar, Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from telemetry.config import TelemetryConfig
from telemetry.health import Check, Readiness, problems
from telemetry.metrics import BARE

Answer = tuple[HTTPStatus, str, bytes]

_JSON: Final = "application/json"
_MOST_CONNECTIONS: Final = 32
_REQUEST_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1
_HEADS: Final = [(f" {name}_total ".encode(), f" {name} ".encode()) for name in BARE]

log = logging.getLogger("mdp.telemetry")


def serve(config: TelemetryConfig, worker: int, checks: Mapping[str, Check]) -> None:
    """Serves metrics and health of this process on a port of its own; if the port is in use, only logs a warning.

    Args:
        config: the port of worker 0.
        worker: index of the worker on this machine.
        checks: for each service that the worker needs, a function that raises if it cannot be reached.
    """
    if config.metrics_port == 0:
        return
    readiness = Readiness(checks, config.ready_lag_ms)
    answers = {
        "/metrics": metrics,
        "/health": lambda: _health_answer("alive", problems()),
        "/ready": lambda: _health_answer("ready", readiness.obstacles()),
    }
    _listen(config, config.metrics_port + worker, answers)


def serve_metrics(config: TelemetryConfig) -> None:
    """Serves the metrics of a process that is no worker; if the port is in use, only logs a warning."""
    serve_answers(config, {})


def serve_answers(config: TelemetryConfig, answers: Mapping[str, Callable[[], Answer]]) -> None:
    """Serves the metrics of a process that is no worker, and these answers by their paths, in the same way."""
    if config.metrics_port:
        _listen(config, config.metrics_port, {"/metrics": metrics, **answers})


def _listen(config: TelemetryConfig, port: int, answers: Mapping[str, Callable[[], Answer]]) -> None:
    try:
        server = _Server(config.metrics_host, port, answers)
    except OSError as error:
        log.warning("no metrics on port %d: %s; set telemetry.metrics_port", port, error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def metrics() -> Answer:
    """All metrics of this process, in the text format of Prometheus."""
    text = generate_latest()
    for wrong, right in _HEADS:  # in TYPE lines the library appends _total to every counter's name
        text = text.replace(wrong, right)
    return HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, text


def _health_answer(word: str, reasons: list[str]) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return status, _JSON, json.dumps({word: not reasons, "reasons": reasons}).encode()


class _Server(ThreadingTCPServer):
    """A thread for each connection, with few connections: a new one closes the oldest."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, answers: Mapping[str, Callable[[], Answer]]) -> None:
        [(self.address_family, *_), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.answers = answers
        self._open: dict[socket.socket, None] = {}  # oldest first
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts a connection; pauses on failure, as the base would retry without end when files run out."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_PAUSE_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            if len(self._open) > _MOST_CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with contextlib.suppress(OSError):  # it may have just ended
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs errors, except that the client disconnected before the answer."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.error("a request failed", exc_info=True)


class _Request(io.RawIOBase):
    """The input of a connection, with a time limit for the whole request, however slowly its bytes arrive."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._deadline = connection, time.monotonic() + _REQUEST_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float] = _REQUEST_SECONDS
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Request(self.connection))

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"available are {', '.join(self.server.answers)}")
            return
        status, content_type, body = answer()
        self.connection.settimeout(self.timeout)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Does not log requests."""
