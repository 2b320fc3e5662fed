"""The configuration of inference: the adapters that evaluate the features, and their options.

inference:
  adapters:
    rules: {file: configs/rules.yaml}
    sklearn: {enabled: true, model_path: models/direction.skops, threshold: 0.6}
    my_evaluator: {lookback: 3}   # an installed evaluator, see inference.evaluator
  breaker: {failures: 5, cooldown_ms: 60000}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.errors import MdpError


class InferenceConfigError(MdpError):
    """The configuration, the rules file or the model is invalid; the message is one line."""


class RulesConfig(BaseModel):
    """Adapter `rules`: conditions on features, from a YAML file (see inference.rules)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether they are used.")
    file: Path = Field(description="The [rules](#configsrulesyaml).")
    version: str = Field(default="", description="Your name for this state of the rules, for `inference.lineage`.")


class SklearnConfig(BaseModel):
    """Adapter `sklearn`: a fitted scikit-learn model (see inference.model for what threshold means)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=False, description="Whether the model is used.")
    model_path: str = Field(
        default="",
        description="File of a fitted scikit-learn estimator: `.skops`, or `.pkl`, `.pickle`, `.joblib` if "
        "`allow_pickle`.",
    )
    allow_pickle: bool = Field(default=False, description="Pickles can run any code when they are loaded.")
    trusted: tuple[str, ...] = Field(
        default=(),
        description="Types in a skops file that you vouch for, by the names with which it is refused; see "
        "[security.md](security.md#models).",
    )
    on_version_mismatch: Literal["warn", "refuse"] = Field(
        default="warn",
        description="What to do with a model that another version of scikit-learn has saved: use it, with a warning in "
        "the log, or refuse it.",
    )
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None,
        description="A classifier signals where P(last class) reaches it; a regressor where its absolute prediction "
        "does. Null: every prediction is a signal. Finite.",
    )
    name: str = Field(default="", description="Name of the signals; empty: the model file's name without its ending.")
    version: str = Field(default="", description="Your name for this state of the model, for `inference.lineage`.")


class EntryPointConfig(BaseModel):
    """An installed evaluator; everything but `enabled` is passed to its factory."""

    model_config = ConfigDict(frozen=True, extra="allow")

    enabled: bool = Field(
        default=True,
        description="An installed evaluator, see [extending.md](extending.md); its other keys are passed to it.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """Everything but `enabled`."""
        return dict(self.model_extra or {})


class AdaptersConfig(BaseModel):
    """The adapters by name; any name but `rules` and `sklearn` is that of an entry point."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, EntryPointConfig] = Field(init=False)

    rules: RulesConfig | None = Field(default=None, description="Signals by conditions on features; null: none.")
    sklearn: SklearnConfig = SklearnConfig()

    @property
    def installed(self) -> dict[str, EntryPointConfig]:
        """The adapters from other packages, by name."""
        return self.__pydantic_extra__


class BreakerConfig(BaseModel):
    """When a failing model or installed evaluator is skipped, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(
        default=5,
        ge=1,
        le=1_000_000,
        description="After this many failed windows in a row, a model or an installed evaluator opens its "
        "circuit breaker.",
    )
    cooldown_ms: int = Field(
        default=60_000,
        ge=0,
        le=86_400_000,
        description="Milliseconds of event time until it is used again; windows in between get no signals from it.",
    )


class InferenceConfig(BaseModel):
    """All adapters; without any, no signals are emitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapters: AdaptersConfig = AdaptersConfig()
    breaker: BreakerConfig = BreakerConfig()
    lineage: bool = Field(
        default=False,
        description="Whether the meta of each signal says what made it: a rules file or a model, with its version and "
        "SHA-256, and the feature values that were looked at; see [semantics.md](semantics.md#signals).",
    )

    @property
    def files(self) -> list[Path]:
        """What the enabled adapters are read from."""
        rules, sklearn = self.adapters.rules, self.adapters.sklearn
        files = [] if rules is None or not rules.enabled else [rules.file]
        return [*files, Path(sklearn.model_path)] if sklearn.enabled else files


def select_adapter(config: InferenceConfig, adapter: str) -> InferenceConfig:
    """Return `config` with only `adapter` enabled (`none`: no adapter), for the option --adapter.

    An installed evaluator without configuration is enabled without options.

    Raises:
        InferenceConfigError: `adapter` is `rules` and no rules file is configured.

    """
    adapters = config.adapters
    if adapter == "rules" and adapters.rules is None:
        raise InferenceConfigError("adapter rules: name its file in inference.adapters.rules.file")
    configured: dict[str, BaseModel] = {"sklearn": adapters.sklearn, **adapters.installed}
    if adapters.rules is not None:
        configured["rules"] = adapters.rules
    if adapter != "none":
        configured.setdefault(adapter, EntryPointConfig())
    chosen = {name: part.model_copy(update={"enabled": name == adapter}) for name, part in configured.items()}
    return config.model_copy(update={"adapters": AdaptersConfig.model_validate(chosen)})
