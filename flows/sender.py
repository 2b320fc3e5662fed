"""As whom this process sends messages, and in which run."""

from __future__ import annotations

import os
import socket
import uuid
from typing import Final

from codec.output_headers import Sender

_RUN: Final = "MDP_RUN_ID"  # the variable by which processes learn the run from who has started them


def begin_run() -> uuid.UUID:
    """A new run, of this process and of those that it starts from now on."""
    run_id = uuid.uuid4()
    os.environ[_RUN] = str(run_id)
    return run_id


def sender(service: str) -> Sender:
    """The instance of a service that runs in this process; under Bytewax's own runner, in a run of its own."""
    run_id = os.environ.get(_RUN) or str(begin_run())
    return Sender(f"{service}@{socket.gethostname()}", run_id)
