"""The end of a dataflow, and of a run: nothing that goes wrong then may hide why it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.errors import first_line

log = logging.getLogger("mdp.endings")


@contextmanager
def never_raising(what: str) -> Iterator[None]:
    """Logs `what` instead of raising an error: Bytewax aborts the process if one is raised while a dataflow ends."""
    try:
        yield
    except Exception as error:
        log.warning("%s: %s", what, first_line(error))
        log.debug("%s", what, exc_info=True)
