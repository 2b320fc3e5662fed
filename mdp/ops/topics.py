"""The topics of the pipeline: created from configs/topics.yaml, and compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flows.project import SHIPPED
from transports.kafka.brokers import Cluster, Topic, cluster
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_admin import TopicAdmin, TopicPlan, TopicsError

_FILE: Final = "topics.yaml"
_TIMESTAMPS: Final = "message.timestamp.type"


def _text(value: Any) -> Any:
    """A setting as Kafka's text, with booleans in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


_Settings = dict[str, Annotated[str, BeforeValidator(_text)]]


class TopicConfig(BaseModel):
    """One topic, or the defaults of all topics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partitions: int = Field(default=1, ge=1, description="Output topics need at least as many as the events topic.")
    replication: int = Field(default=1, ge=1, description="Limited to the number of brokers.")
    config: _Settings = Field(default_factory=dict, description="Kafka's own topic settings, such as `retention.ms`.")

    @property
    def plan(self) -> TopicPlan:
        return TopicPlan(self.partitions, self.replication, self.config)

    def over(self, defaults: TopicConfig) -> TopicConfig:
        """Fill in `defaults` for missing settings."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return defaults.model_copy(update=given | {"config": {**defaults.config, **self.config}})


class TopicsConfig(BaseModel):
    """The file topics.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    defaults: TopicConfig = TopicConfig()
    topics: dict[str, Annotated[TopicConfig, BeforeValidator(lambda topic: {} if topic is None else topic)]]

    def merged(self, also: Iterable[str]) -> dict[str, TopicConfig]:
        """The topics that are listed, and others, with the defaults."""
        every = {**dict.fromkeys(also, TopicConfig()), **self.topics}
        return {name: topic.over(self.defaults) for name, topic in every.items()}


@dataclass(frozen=True, slots=True)
class TopicReport:
    """The state of a topic after `apply`, and its differences from the file."""

    name: str
    partitions: int | None  # None: the topic does not exist
    replication: int | None
    is_new: bool
    drift: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # on settings that match the file


def find_file(config: Path) -> Path:
    """The topics.yaml next to the config, in ./configs or in the project."""
    places = (config.parent, Path("configs"), SHIPPED)
    return next((place / _FILE for place in places if (place / _FILE).exists()), places[0] / _FILE)


def load(path: Path, also: Iterable[str] = ()) -> dict[str, TopicConfig]:
    """The topics of the file by name, and others that it need not list, merged with its defaults.

    Raises:
        TopicsError: the file cannot be read, or is invalid.
    """
    try:
        return TopicsConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).merged(also)
    except OSError as error:
        raise TopicsError(f"{path}: {error.strerror}; name the topics' file with --file") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise TopicsError(f"{path}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TopicsError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def apply(bus: KafkaConfig, topics: dict[str, TopicConfig]) -> list[TopicReport]:
    """Creates missing topics, changes none, and reports on all, including those of the config.

    Raises:
        Unreachable: no broker answers.
        TopicsError: a topic cannot be created.
    """
    admin, before = TopicAdmin(bus), cluster(bus.client())
    wanted = {name: _capped(topic, before.brokers) for name, topic in topics.items()}
    missing = {name: topic for name, topic in wanted.items() if name not in before.topics}
    admin.create({name: topic.plan for name, topic in missing.items()})
    after, configs = admin.await_listed(missing), admin.settings(list(wanted))
    reports = [
        _report(name, topic, topics[name], after.topics[name], configs[name], is_new=name in missing)
        for name, topic in wanted.items()
    ]
    unlisted, narrow = _unlisted(bus, topics, after.topics), _narrow(bus, after.topics)
    return _warned([*reports, *unlisted, *narrow], admin, bus)


def compare(bus: KafkaConfig, topics: dict[str, TopicConfig], found: Cluster) -> list[TopicReport]:
    """Reports on all topics like `apply`, but creates none.

    Args:
        bus: the config.
        topics: those of the file.
        found: the brokers' metadata.
    """
    used = {name: topic for name, topic in topics.items() if name in _roles(bus)}
    there = {name: topic for name, topic in used.items() if name in found.topics}
    admin = TopicAdmin(bus)
    configs = admin.settings(list(there))
    compared = [
        _report(name, _capped(topic, found.brokers), topic, found.topics[name], configs[name], is_new=False)
        for name, topic in there.items()
    ]
    missing = [
        TopicReport(name, None, None, is_new=False, drift=("does not exist",)) for name in used if name not in there
    ]
    unlisted, narrow = _unlisted(bus, topics, found.topics), _narrow(bus, found.topics)
    return _warned([*missing, *compared, *unlisted, *narrow], admin, bus)


def _capped(topic: TopicConfig, brokers: int) -> TopicConfig:
    return topic.model_copy(update={"replication": min(topic.replication, brokers)})


def _report(
    name: str,
    wanted: TopicConfig,
    listed: TopicConfig,
    found: Topic,
    config: dict[str, str | None],
    *,
    is_new: bool,
) -> TopicReport:
    partitions, replication = len(found.partitions), found.replication
    compared = [
        ("partitions", partitions, wanted.partitions),
        ("replication", replication, wanted.replication),
        *((key, config.get(key), value) for key, value in wanted.config.items()),
    ]
    drift = tuple(f"{key} is {actual}, not {value}" for key, actual, value in compared if actual != value)
    capped = f"replication {wanted.replication}, not {listed.replication}: the number of brokers"
    notes = (capped,) if wanted.replication < listed.replication else ()
    return TopicReport(name, partitions, replication, is_new, drift, notes)


def _roles(bus: KafkaConfig) -> dict[str, str]:
    """The keys under bus.kafka that name topics, by topic."""
    return {getattr(bus, key): key for key in KafkaConfig.model_fields if key == "topic" or key.endswith("_topic")}


def _unlisted(bus: KafkaConfig, listed: dict[str, TopicConfig], found: Mapping[str, Topic]) -> list[TopicReport]:
    reports = []
    for name, key in _roles(bus).items():
        if name in listed:
            continue
        note = f"named by bus.kafka.{key}, but not in {_FILE}"
        if name in found:
            there = found[name]
            reports.append(TopicReport(name, len(there.partitions), there.replication, is_new=False, notes=(note,)))
        else:
            reports.append(TopicReport(name, None, None, is_new=False, drift=(f"does not exist: {note}",)))
    return reports


def _narrow(bus: KafkaConfig, found: Mapping[str, Topic]) -> list[TopicReport]:
    """Output topics with fewer partitions than the events: partition i of the events needs partition i of each."""
    if bus.topic not in found:
        return []
    needed = len(found[bus.topic].partitions)
    outputs = (bus.signals_topic, bus.bars_topic, bus.dlq_topic, bus.late_topic)
    reports = []
    for name in outputs:
        partitions = len(found[name].partitions) if name in found else needed
        if partitions < needed:
            drift = f"{partitions} partitions are fewer than the {needed} of {bus.topic}"
            reports.append(TopicReport(name, partitions, None, is_new=False, drift=(drift,)))
    return reports


def _warned(reports: list[TopicReport], admin: TopicAdmin, bus: KafkaConfig) -> list[TopicReport]:
    """The reports, with a warning on an events topic whose records have timestamps of their producers."""
    events = next(report for report in reports if report.name == bus.topic)
    if events.partitions is None or admin.settings([bus.topic])[bus.topic].get(_TIMESTAMPS) != "CreateTime":
        return reports
    warning = f"{_TIMESTAMPS} is CreateTime: one event from the future can make all others of its provider late"
    return [replace(report, warnings=(warning,)) if report is events else report for report in reports]
