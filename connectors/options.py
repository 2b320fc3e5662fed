"""The options of a connector, as its manifest declares them and `--set` gives them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from connectors.section import Section, Texts
from contracts.suggestions import did_you_mean

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class OptionError(ValueError):
    """A value is missing, or not one that an option takes."""


class OptionConfig(Section):
    """One option."""

    type: Literal["text", "integer", "number", "boolean", "list"] = Field(
        default="text", description="What it takes; `list` is texts with commas."
    )
    required: bool = Field(default=False, description="Whether it has to be given.")
    default: Any = Field(default=None, description="What it is when it is not given.")
    choices: Texts = Field(default=(), description="All that it may be, or that may be in the list.")
    help: str = Field(default="", description="One line.")

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.required and self.default is not None:
            raise ValueError("an option that is required has no default")
        if self.default is not None:
            self._checked("default", self.default)
        return self

    def value(self, name: str, given: str | None) -> Any:
        """The value of the option called `name`, by a text or by its default.

        Raises:
            OptionError: it has to be given, or is not of its type.
        """
        if given is not None:
            return self._checked(name, self._parsed(name, given))
        if self.required:
            raise OptionError(f"option {name} is missing{f': {self.help}' if self.help else ''}")
        return self.default

    def _parsed(self, name: str, given: str) -> Any:
        try:
            match self.type:
                case "text":
                    return given
                case "integer":
                    return int(given)
                case "number":
                    return float(given)
                case "boolean":
                    return _WORDS[given.casefold()]
                case "list":
                    return [part.strip() for part in given.split(",") if part.strip()]
        except (ValueError, KeyError):
            raise OptionError(f"option {name} takes {_ARTICLES[self.type]}, not {given[:100]!r}") from None

    def _checked(self, name: str, value: Any) -> Any:
        if not isinstance(value, _TYPES[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            raise OptionError(f"{name} takes {_ARTICLES[self.type]}, not {value!r}")
        for one in value if isinstance(value, list) else [value]:
            if self.choices and one not in self.choices:
                allowed = did_you_mean(str(one), self.choices) or f"; it takes {', '.join(self.choices)}"
                raise OptionError(f"option {name} does not take {str(one)[:100]!r}{allowed}")
        return value


_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
}
_ARTICLES = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "texts with commas between them",
}
