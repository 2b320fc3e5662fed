"""Section `http` of a manifest."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from connectors.section import Duration, Section, seconds
from normalize.paths import MappingError, Path

_NEEDS = {"cursor": ("path",), "page": ("items",), "offset": ("items",), "time": ("items", "path")}


class PagingConfig(Section):
    """How a query is continued where one response does not hold everything."""

    by: Literal["cursor", "page", "offset", "time"] = Field(
        description="`cursor`: a text in the response asks for the next page; `page` counts pages, `offset` items; "
        "`time`: the next page begins at the time of the last item."
    )
    param: str = Field(description="The parameter of the query that it sets.")
    path: str | None = Field(
        default=None, description="Where the cursor lies in the response, or the time in an item of the list."
    )
    items: str | None = Field(default=None, description="Where the list lies whose end is reached when it is empty.")
    first: int | None = Field(default=None, ge=0, description="The first page, else 1; or the first offset, else 0.")
    most: int = Field(default=1_000, ge=1, description="The most pages of one query.")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for name in _NEEDS[self.by]:
            if getattr(self, name) is None:
                raise ValueError(f"paging by {self.by} needs {name}")
        for path in filter(None, (self.path, self.items)):
            try:
                Path.parse(path)
            except MappingError as error:
                raise ValueError(str(error)) from None
        return self


class HttpSection(Section):
    """A query of an API that answers in JSON, repeated.

    Texts in it are templates: `{symbol}`, `{symbols}` and `{option}` stand for what `--symbols` and `--set` give,
    `${NAME}` for a secret of `requires.secrets`. With `{symbol}` in it, the query is made for each.
    """

    url: str = Field(description="The address, `https://…`.")
    method: Literal["GET", "POST"] = Field(default="GET", description="How it is asked.")
    headers: dict[str, str] = Field(default_factory=dict, description="Of the request, such as `Authorization`.")
    params: dict[str, str | int | float | bool] = Field(default_factory=dict, description="Of the query.")
    body: Any = Field(default=None, description="Sent as JSON, with POST.")
    every: Duration = Field(default="60s", description="The time between the beginnings of two queries.")
    timeout: Duration = Field(default="30s", description="How long a response may take.")
    paging: PagingConfig | None = Field(default=None, description="How a query is continued.")
    max_response_bytes: int = Field(default=16_777_216, ge=1_024, description="A longer response is an error.")

    @model_validator(mode="after")
    def _body_is_posted(self) -> Self:
        if self.body is not None and self.method != "POST":
            raise ValueError("body is for method POST")
        return self

    @property
    def every_s(self) -> float:
        return seconds(self.every)

    @property
    def timeout_s(self) -> float:
        return seconds(self.timeout)
