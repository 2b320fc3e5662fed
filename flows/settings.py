"""The whole configuration as one typed, frozen tree: each component defines its own section."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.synthetic.market import SyntheticConfig
from contracts.market_prices import TRADE, MarketPrice
from contracts.message import MessageType
from contracts.registry import stored_types
from features.bars.window_config import WindowConfig
from features.rolling.feature_config import FeatureConfig, check_features
from flows.connect_section import ConnectSection
from flows.dlq_section import DlqSection
from flows.raw_topics import Name, NormalizeSection
from flows.replay_section import ReplaySection
from inference.config import InferenceConfig
from sinks.runs.names import tables_of
from sinks.store_config import StoreConfig
from telemetry.config import TelemetryConfig
from transports.kafka.config import KafkaConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BusSection(_Section):
    """Section `bus`."""

    type: Literal["kafka"] = Field(default="kafka", description="The message bus.")
    kafka: KafkaConfig = Field(default_factory=KafkaConfig)


class MarketSection(_Section):
    """Section `market`: what the records of the events topic are."""

    input: Literal["events", "envelopes"] = Field(
        default="events",
        description="Records of the events topic: Event v1, or canonical envelopes of trades or quotes.",
    )
    price: MarketPrice = Field(
        default="trade",
        description="Which price of envelopes makes bars: `trade` is that of trades/v2, the others are those of "
        "quotes/v2, which have no volume. Messages without it are rejected.",
    )

    @model_validator(mode="after")
    def _prices_are_of_envelopes(self) -> Self:
        if self.input == "events" and self.price != TRADE:
            raise ValueError(f"price {self.price} is one of quotes in envelopes: set input to envelopes, too")
        return self


class MessagesSection(_Section):
    """Section `messages`: the topics of envelopes, and what they hold."""

    env: Name = Field(default="dev", description="The environment: the first part of the topics' names, after `utp`.")
    realm: Name = Field(default="local", description="Whose bus it is: the next part of the topics' names.")
    naming: Literal["utp", "ampy", "plain"] = Field(
        default="utp",
        description="How topics are called: `utp.<env>.<realm>.<event_type>`, `ampy.<env>.<type>.v<major>`, or by the "
        "`event_type` alone.",
    )
    topics: tuple[str, ...] = Field(
        default=(),
        description="The topics that `persist` reads. None: `utp.<env>.<realm>.<event_type>` of every type of message "
        "that has a table, those of installed packages too.",
    )
    blobs: str | None = Field(
        default=None,
        description="Where payloads lie that are too large for a record: a folder, or a URL such as `s3://bucket`. "
        "Null: such records are rejected.",
    )

    @field_validator("topics")
    @classmethod
    def _are_different(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(topics)) < len(topics):
            raise ValueError("a topic is named twice")
        return topics

    @property
    def persisted(self) -> tuple[str, ...]:
        """The topics that `persist` reads."""
        return self.topics or tuple(sorted({self.topic_of(kind) for kind in stored_types().values()}))

    def topic_of(self, kind: MessageType, realm: str | None = None) -> str:
        """The topic of a type that comes in envelopes, in this realm or another."""
        match self.naming:
            case "utp":
                return str(kind.topic(self.env, realm or self.realm))
            case "ampy":
                return f"ampy.{self.env}.{kind.id.replace('/', '.')}"
            case "plain":
                return str(kind.event_type)


class ProducersSection(_Section):
    """Section `producers`."""

    synthetic: SyntheticConfig = SyntheticConfig()


class FeaturesSection(_Section):
    """Section `features`: any number of rolling features."""

    windows: tuple[FeatureConfig, ...] = Field(
        default=(),
        description="Any number of rolling features; each is a column of the table `features`, and a name in rules and "
        "models.",
    )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.windows)


class RecoverySection(_Section):
    """Section `recovery`: the folder of Bytewax's snapshots, and the interval between them."""

    directory: str = Field(
        default="", description="Folder of the snapshots; empty: `recovery` in the folder of `MDP_HOME`."
    )
    interval_s: int = Field(
        default=10,
        ge=1,
        le=3_600,
        description="Seconds between snapshots. After a crash, this much of the log is read again.",
    )


class RunSection(_Section):
    """The part of the log that a run reads and writes; set by the command line."""

    from_ns: int | None = Field(
        default=None,
        description="`--from`, in nanoseconds since the epoch: only windows that begin then or later are written; the "
        "log is read from early enough to compute them.",
    )
    to_ns: int | None = Field(default=None, description="`--to`: only windows that end by then are written.")
    until_end: bool = Field(
        default=False, description="`--until-end`: stop at the end that the log has when the run starts."
    )
    overwrite: bool = Field(
        default=False,
        description="`--overwrite`: replace what is stored: rows that differ, a finished run of the same name, or with "
        "`--into live` all that the live tables hold of the range.",
    )
    name: str | None = Field(
        default=None,
        description="`--run`: the run whose tables the results of a range go to, up to 48 of a-z, 0-9 and `_`; null "
        "takes one named by the time.",
    )
    into: Literal["live"] | None = Field(
        default=None, description="`--into`: `live` has the results of a range go to the tables of the live flow."
    )

    @property
    def bounded(self) -> bool:
        """Whether the run ends by itself."""
        return self.until_end or self.to_ns is not None

    @property
    def is_span(self) -> bool:
        """Whether the run covers only a part of the log: it saves no state, and leaves a live run's progress alone."""
        return self.from_ns is not None or self.to_ns is not None

    @property
    def is_backtest(self) -> bool:
        """Whether the run is about a part of the log that ends: it writes tables only, its own unless told otherwise.

        The last record of an output topic marks the flow's progress, and a partition has one writer: results of a part
        of the log would make the whole run skip everything before it, and fence a live run.
        """
        return self.is_span and self.bounded

    @property
    def is_apart(self) -> bool:
        """Whether the live tables have nothing to do with it."""
        return self.name is not None and self.into is None

    @property
    def replaces_live(self) -> bool:
        """Whether what it has computed is to take the place of what the live tables hold of the range."""
        return self.into == "live" and self.overwrite


class Settings(_Section):
    """configs/streaming.yaml, with environment variables and --set applied."""

    version: Literal[1] = Field(default=1, description="Version of this file's format.")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")] = Field(
        default="mdp",
        description="Names the deployment: its saved state, its transactions and its progress. A small letter, then up "
        "to 40 of a-z, 0-9, `_`, `-`. Only one worker at a time may run a flow under one name.",
    )
    bus: BusSection = BusSection()
    messages: MessagesSection = MessagesSection()
    normalize: NormalizeSection = NormalizeSection()
    connect: ConnectSection = ConnectSection()
    store: StoreConfig = StoreConfig()
    producers: ProducersSection = ProducersSection()
    market: MarketSection = MarketSection()
    micro_batch: WindowConfig = Field(default_factory=WindowConfig)
    features: FeaturesSection = FeaturesSection()
    inference: InferenceConfig = InferenceConfig()
    recovery: RecoverySection = RecoverySection()
    dlq: DlqSection = DlqSection()
    replay: ReplaySection = ReplaySection()
    telemetry: TelemetryConfig = TelemetryConfig()
    run: RunSection = RunSection()

    @model_validator(mode="after")
    def _features_fit_the_window(self) -> Self:
        check_features(self.features.windows, self.micro_batch.window_ns)
        return self

    @property
    def of_live_tables(self) -> Settings:
        """The same for whoever has to do with the live tables, whatever the run writes."""
        return self.model_copy(update={"run": self.run.model_copy(update={"name": None})})

    @property
    def results_url(self) -> str:
        """Of the database with the tables that the run writes: those of a run of its own, or the live ones."""
        url = self.store.url.get_secret_value()
        return url if self.run.name is None else tables_of(url, self.run.name)

    @property
    def span_ns(self) -> int:
        """The longest lookback of any feature, in nanoseconds: after it, an idle symbol is forgotten."""
        window = self.micro_batch.window_ns
        return max((feature.span(window) for feature in self.features.windows), default=1) * window

    @property
    def warm_up_ns(self) -> int:
        """How far before a time the log has to be read to compute the windows from then on.

        Their features look back one span. Whether a rule with emit: edge held before depends on a symbol's last window,
        which may lie a span back, and whose features look back another span.
        """
        return 2 * self.span_ns + self.waits_ns

    @property
    def waits_ns(self) -> int:
        """How long after a time a window that holds it may still change, on a feed that is not behind."""
        window = self.micro_batch
        return (window.window_ms + window.allow_late_ms + window.amend_ms + window.max_future_ms) * 1_000_000
