"""Where the bus is and what its topics are called: what every step that talks to Kafka has to agree on."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from contracts.timestamps import parse_timestamp

ClientOption = str | int | float | bool

_OWNED: Final = frozenset({"bootstrap.servers", "enable.auto.commit", "isolation.level", "transactional.id"})


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else value


class KafkaConfig(BaseModel):
    """Section `bus.kafka` of the config.

    Attributes:
        brokers: host:port, several with commas, or `embedded` for the local stack.
        consumer_group: group under which offsets are committed, for lag tools only.
        start: where a flow that has not written anything yet begins: earliest, latest, group, or an ISO 8601 time.
        on_gap: what to do when records were deleted before they were read: stop, or continue with what is left.
        options: further librdkafka client options, such as security.protocol and sasl.password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    brokers: str = Field(default="embedded", min_length=1)
    topic: str = "mdp.events"
    signals_topic: str = "mdp.signals"
    bars_topic: str = "mdp.bars"
    dlq_topic: str = "mdp.events.dlq"
    late_topic: str = "mdp.events.late"
    replay_topic: str = "mdp.replay"
    consumer_group: str = "mdp-consumers"
    start: str = "earliest"
    on_gap: Literal["stop", "continue"] = "stop"
    options: dict[str, SecretStr] = Field(default_factory=dict)

    @field_validator("options", mode="before")
    @classmethod
    def _as_text(cls, options: Any) -> Any:
        """YAML reads some values as numbers; librdkafka takes text for all."""
        if not isinstance(options, dict):
            return options
        return {name: _text(value) for name, value in options.items()}

    @field_validator("start")
    @classmethod
    def _is_a_start(cls, start: str) -> str:
        if start not in ("earliest", "latest", "group"):
            parse_timestamp(start)
        return start

    def client(self, **more: ClientOption) -> dict[str, ClientOption]:
        """Options of a librdkafka client: the connection, and `more` with dots for underscores."""
        given = {name: secret.get_secret_value() for name, secret in self.options.items() if name not in _OWNED}
        return {
            **given,
            "bootstrap.servers": self.brokers,
            "log_level": 2,  # what goes wrong is reported by us, once, and not by each client's own log
            **{name.replace("_", "."): value for name, value in more.items()},
        }
