"""Log lines as they may be shown: without secrets, and with nothing that a terminal or a reader takes for more."""

from __future__ import annotations

import logging

from flows.secrets import masked
from mdp.printable import printable


class LogFormat(logging.Formatter):
    """Time, level and message. A message is one line whatever a feed has put into it; a traceback follows as it is."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by logging
        record.message = printable(masked(record.message))
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))
