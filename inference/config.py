"""The configuration of inference: which adapters evaluate the features, and with what.

inference:
  adapters:
    rules: {file: configs/rules.yaml}
    sklearn: {enabled: true, model_path: models/direction.skops, threshold: 0.6}
    my_evaluator: {lookback: 3}   # an installed evaluator, see inference.evaluator
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class InferenceConfigError(ValueError):
    """Something in the configuration, the rules file or the model cannot be used; the message is one line."""


class RulesConfig(BaseModel):
    """Adapter `rules`: conditions on features, from a YAML file (see inference.rules)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    file: Path


class SklearnConfig(BaseModel):
    """Adapter `sklearn`: a fitted scikit-learn model (see inference.model for what threshold means)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    model_path: str = ""
    allow_pickle: bool = False  # .pkl and .joblib files run code when they are loaded
    trusted: tuple[str, ...] = ()  # types in a .skops file that the user vouches for, beyond those that skops knows
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    name: str = ""  # of the signals; empty: the stem of the model's file


class EntryPointConfig(BaseModel):
    """An installed evaluator; everything but `enabled` is handed to its factory."""

    model_config = ConfigDict(frozen=True, extra="allow")

    enabled: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """Everything but `enabled`."""
        return dict(self.model_extra or {})


class AdaptersConfig(BaseModel):
    """The adapters by name; any name but `rules` and `sklearn` is an entry point's."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, EntryPointConfig] = Field(init=False)

    rules: RulesConfig | None = None
    sklearn: SklearnConfig = SklearnConfig()

    @property
    def installed(self) -> dict[str, EntryPointConfig]:
        """The adapters that other packages bring, by name."""
        return self.__pydantic_extra__


class InferenceConfig(BaseModel):
    """All adapters; without any, no signals are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapters: AdaptersConfig = AdaptersConfig()


def select_adapter(config: InferenceConfig, adapter: str) -> InferenceConfig:
    """`config` with only `adapter` enabled (`none`: no adapter), as the command line's --adapter asks.

    An installed evaluator that is not configured is enabled without options.

    Raises:
        InferenceConfigError: `rules` is asked for and no rules file is configured.

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
    return InferenceConfig(adapters=AdaptersConfig.model_validate(chosen))
