"""Section `websocket` of a manifest."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from connectors.section import Duration, Section, seconds


class HeartbeatConfig(Section):
    """What keeps the connection alive."""

    every: Duration = Field(default="15s", description="The time between two, such as 15s.")
    send: Any = Field(default=None, description="The message; without one a ping of the protocol, which is awaited.")

    @property
    def seconds(self) -> float:
        return seconds(self.every)


class WebsocketSection(Section):
    """One connection to a feed that sends JSON.

    Texts in it are templates: `{symbol}` and `{option}` stand for what `--symbols` and `--set` give, `${NAME}` for a
    secret of `requires.secrets`.
    """

    url: str = Field(description="The address, `wss://…`.")
    headers: dict[str, str] = Field(default_factory=dict, description="Of the request that opens the connection.")
    subscribe: tuple[Any, ...] = Field(
        default=(),
        description="A message, or a list of them, sent in order once connected. One with `{symbol}` is sent for each "
        "symbol; where `{symbol}` is in an item of a list, that item is repeated instead.",
    )
    heartbeat: HeartbeatConfig = Field(default=HeartbeatConfig(), description="What keeps the connection alive.")
    max_message_bytes: int = Field(default=4_194_304, ge=1_024, description="A longer message ends the connection.")

    @field_validator("subscribe", mode="before")
    @classmethod
    def _is_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list | tuple) else (value,)
