"""Safe log lines: without secrets, and without text that a terminal or a log reader could misinterpret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from flows.secrets import masked
from telemetry.printable import printable

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import Processor

    from flows.settings import Settings

Form = Literal["console", "json"]


class LogFormat(logging.Formatter):
    """One line for each record, as text or JSON, whatever a feed has put into it.

    A traceback follows its line in text, and is a field in JSON.
    """

    def __init__(self, form: Form = "console", *, colors: bool = False, **fields: object) -> None:
        """`fields` are in every line, such as the number of the worker; None omits one."""
        super().__init__()
        self._form, self._colors = form, colors
        self._fields = {name: value for name, value in fields.items() if value is not None}

    def format(self, record: logging.LogRecord) -> str:
        return self._formatter.format(record)

    @cached_property
    def _formatter(self) -> ProcessorFormatter:
        # importing structlog takes a tenth of a second: most runs log nothing during their start
        from structlog import dev, processors, stdlib  # noqa: PLC0415

        line: list[Processor] = [stdlib.add_log_level, processors.TimeStamper(fmt="iso"), processors.format_exc_info]
        render: Processor
        if self._form == "json":
            line += [stdlib.add_logger_name, stdlib.ExtraAdder()]
            render = processors.JSONRenderer(json.dumps)
        else:
            render = dev.ConsoleRenderer(pad_event_to=0, colors=self._colors, exception_formatter=dev.plain_traceback)
        leave = stdlib.ProcessorFormatter.remove_processors_meta
        return stdlib.ProcessorFormatter(foreign_pre_chain=line, processors=[leave, self._shown, render])

    def _shown(self, _: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """JSON itself escapes control characters."""
        plain = {name: _plain(value) for name, value in event.items()}
        if self._form == "console":
            plain["event"] = printable(plain["event"])
            if "exception" in plain:  # its message may contain data of a feed
                plain["exception"] = "\n".join(map(printable, plain["exception"].splitlines()))
        return {**plain, **self._fields}


def start_logging(settings: Settings, process: int | None = None) -> None:
    """Logs to stderr, with the level and format of the config."""
    telemetry, is_terminal, handler = settings.telemetry, sys.stderr.isatty(), logging.StreamHandler()
    form = telemetry.log_format
    if form == "auto":
        form = "console" if is_terminal else "json"
    handler.setFormatter(LogFormat(form, colors=is_terminal, worker=process))
    logging.basicConfig(level=telemetry.log_level, handlers=[handler])


def _plain(value: Any) -> Any:
    """Bytes are what records hold, and that is not shown."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return masked(value) if isinstance(value, str) else value
