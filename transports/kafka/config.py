"""The brokers and the topics' names: shared by every step that uses Kafka."""

from __future__ import annotations

import time
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from contracts.batch import BARS, SIGNALS
from contracts.moments import parse_moment
from contracts.timestamps import format_timestamp

ClientOption = str | int | float | bool

_OWNED: Final = frozenset({"bootstrap.servers", "enable.auto.commit", "isolation.level", "transactional.id"})


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else value


class KafkaConfig(BaseModel):
    """Section `bus.kafka` of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brokers: str = Field(
        default="embedded",
        min_length=1,
        description="`host:port`, several with commas, or `embedded` for the local stack of `mdp up`.",
    )
    topic: str = Field(
        default="mdp.events", description="The events. Its partitions are the unit of state and of scale."
    )
    signals_topic: str = Field(
        default="mdp.signals",
        description="Signals; needs at least as many partitions as the events, like the other output topics.",
    )
    bars_topic: str = Field(default="mdp.bars", description="Bars, written by `micro-batch` and read by `infer`.")
    dlq_topic: str = Field(default="mdp.events.dlq", description="Rejected rows with their original bytes.")
    late_topic: str = Field(default="mdp.events.late", description="Late rows with their original bytes.")
    replay_topic: str = Field(default="mdp.replay", description="Where `mdp stream replay` writes to.")
    control_topic: str = Field(
        default="mdp.control.v1.replay_requests",
        description="[Replay requests](replaying.md), and what becomes of them; one partition.",
    )
    consumer_group: str = Field(
        default="mdp-consumers",
        description="Offsets are committed to it for lag tools. Nothing is resumed from it, unless `start` says so.",
    )
    start: str = Field(
        default="earliest",
        description="Where a flow begins that has written nothing yet: `earliest`, `latest`, `group` (the group's "
        "committed offsets), or a time: `2025-10-24T14:00:00Z`, `2025-10-24`, `today America/New_York` or `now-1h`, "
        "which is an hour before the process starts. One that has, and has lost its state, begins at the first record.",
    )
    on_gap: Literal["stop", "continue"] = Field(
        default="stop",
        description="What to do when records were deleted before they were read, as by a retention that is too short: "
        "end with an error, or go on with what is left, logged and counted in `stream_gap_offsets_total`.",
    )
    on_unreadable: Literal["stop", "skip"] = Field(
        default="stop",
        description="What to do when a batch of records cannot be unpacked, as it would become larger than "
        "`receive.message.max.bytes` (100 MB) or is damaged: end with an error, or leave it out, logged and counted in "
        "`stream_unreadable_offsets_total`.",
    )
    options: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Further librdkafka options of every client, such as `security.protocol` or `sasl.password`; "
        "values are never printed. `bootstrap.servers`, `enable.auto.commit`, `isolation.level` and "
        "`transactional.id` are the pipeline's own, and left out.",
    )

    @field_validator("options", mode="before")
    @classmethod
    def _as_text(cls, options: Any) -> Any:
        """Turns values that YAML reads as numbers into strings, as librdkafka takes strings only."""
        if not isinstance(options, dict):
            return options
        return {name: _text(value) for name, value in options.items()}

    @field_validator("start")
    @classmethod
    def _is_a_start(cls, start: str) -> str:
        """Resolves a time relative to now once, so that it is the same for all partitions."""
        if start in ("earliest", "latest", "group"):
            return start
        return format_timestamp(parse_moment(start, time.time_ns()))

    @property
    def result_topics(self) -> dict[str, str]:
        """The topics of streams of results."""
        return {SIGNALS: self.signals_topic, BARS: self.bars_topic}

    def client(self, **more: ClientOption) -> dict[str, ClientOption]:
        """Options of a librdkafka client: the connection, and `more` with dots for underscores."""
        given = {name: secret.get_secret_value() for name, secret in self.options.items() if name not in _OWNED}
        return {
            **given,
            "bootstrap.servers": self.brokers,
            "log_level": 2,  # errors are reported by mdp, once, rather than by each client's own log
            **{name.replace("_", "."): value for name, value in more.items()},
        }
