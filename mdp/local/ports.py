"""Loopback ports: chosen once per stack, then kept."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from typing import Final

from mdp.local.errors import LocalStackError

HOST = "127.0.0.1"
# Below every system's ephemeral range, from which an outgoing connection could take a kept port while the stack is
# down, and disjoint, so that the two services can choose at the same time.
KAFKA_PORTS = range(20_000, 26_000)
POSTGRES_PORTS = range(26_000, 32_000)
_EVERYWHERE: Final = {"0.0.0.0": HOST, "::": "::1"}  # noqa: S104 - only looked up, never bound to


def choose(ports: range, count: int) -> list[int]:
    """Return `count` different free ports of `ports`."""
    chosen: list[int] = []
    with contextlib.ExitStack() as held:
        for port in secrets.SystemRandom().sample(ports, len(ports)):
            listener = held.enter_context(socket.socket())
            if _bind(listener, port):
                chosen.append(port)
            if len(chosen) == count:
                return chosen
    raise LocalStackError(f"no free port on {HOST} between {ports.start} and {ports.stop - 1}: stop what uses them")


def require_free(port: int, service: str, remedy: str) -> None:
    """Raise LocalStackError, naming the port and the remedy, if anything listens on `port`."""
    if is_taken(port):
        raise LocalStackError(f"port {port} of {service} is used by another process: {remedy}")


def is_taken(port: int) -> bool:
    """Return whether something listens on `port`, without connecting to it."""
    with socket.socket() as listener:
        return not _bind(listener, port)


def answers(port: int) -> bool:
    """Return whether something accepts connections on `port`."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a server that is bound to `host`."""
    return _EVERYWHERE.get(host, host)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll every 20 ms until `condition` holds; return whether it did within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _bind(listener: socket.socket, port: int) -> bool:
    # Connections of the last run may be in TIME_WAIT; with SO_REUSEADDR only a live socket blocks the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        return False
    return True
