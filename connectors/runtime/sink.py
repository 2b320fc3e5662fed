"""Where messages go: Kafka, or the terminal in a dry run. Nothing here blocks the event loop."""

from __future__ import annotations

from typing import Protocol

from contracts.record import Headers


class Delivery(Protocol):
    """The acknowledgement of some records, as one."""

    @property
    def is_done(self) -> bool:
        """Whether all of them are acknowledged."""

    def complete(self) -> None:
        """Says that no more records will be added."""

    async def acknowledged(self) -> None:
        """Waits until all records are acknowledged.

        Raises:
            MdpError: one of them never will be.
        """


class Sink(Protocol):
    """Takes records."""

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged yet."""

    def delivery(self) -> Delivery:
        """Begins a delivery."""

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers, delivery: Delivery) -> bool:
        """Takes a record; False if there is no room for it now.

        Raises:
            MdpError: it will never be taken.
        """

    def poll(self) -> None:
        """Notes what has been acknowledged since.

        Raises:
            MdpError: nothing more can be sent.
        """
