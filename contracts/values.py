"""Types of message fields, with bounds and units, for the declaration of messages.

Bounds are those of docs/semantics.md. `about` says what a field means, and of which unit it is where its type does not:

    price: Annotated[Price, about("What one unit was traded for.")]
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

MAX_PRICE: Final = 1e15
MAX_VOLUME: Final = 1e18
MAX_TOTAL: Final = 4e27  # 4e9 events of the largest volume
MAX_TEXT_BYTES: Final = 256
MAX_LONG_TEXT_BYTES: Final = 4_096
MAX_URL_BYTES: Final = 2_048
MAX_ITEMS: Final = 1_000
INT64: Final = (-(2**63), 2**63 - 1)

END: Final = (
    r"$(?!\n)"  # of a pattern that is enforced: to Python's `$` alone, the end is before a last line break, too
)
WITHOUT_NUL: Final = r"^[^\x00]*$"
TIME_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"
DURATION_PATTERN: Final = r"^[1-9][0-9]{0,8}(ms|s|m|h|d)$"

UNIT: Final = "x-unit"  # the keyword of JSON Schema files that says of which unit a number is
IS: Final = "is"  # in what a type carries along: of which kind it is, where msgspec's type does not say so
TIME: Final = "time"
_PRICE_UNIT: Final = "currency per unit"


def about(description: str, unit: str | None = None, **extra: Any) -> Meta:
    """The meaning of a field, and its unit; `extra` is for code that derives something from the field."""
    return Meta(
        description=description,
        extra_json_schema=None if unit is None else {UNIT: unit},
        extra=extra or None,
    )


def _text(most_bytes: int) -> Meta:
    """Limits the number of characters; `MessageType` checks the number of bytes, and for NUL."""
    return Meta(min_length=1, max_length=most_bytes, extra_json_schema={"pattern": WITHOUT_NUL})


Text = Annotated[str, _text(MAX_TEXT_BYTES)]
LongText = Annotated[str, _text(MAX_LONG_TEXT_BYTES)]
# A page shows it as a link: nothing but the web's own schemes.
Url = Annotated[str, Meta(min_length=1, max_length=MAX_URL_BYTES, pattern=rf"^https?://[^\x00-\x20]+{END}")]
Time = Annotated[
    str,
    Meta(
        extra_json_schema={"pattern": TIME_PATTERN, UNIT: "ISO 8601 with a zone, up to nanoseconds"}, extra={IS: TIME}
    ),
]
Price = Annotated[float, Meta(ge=-MAX_PRICE, le=MAX_PRICE, extra_json_schema={UNIT: _PRICE_UNIT})]
Size = Annotated[float, Meta(ge=0, le=MAX_VOLUME, extra_json_schema={UNIT: "units of the symbol"})]
Total = Annotated[float, Meta(ge=0, le=MAX_TOTAL, extra_json_schema={UNIT: "units of the symbol"})]
Number = Annotated[float, Meta(ge=-MAX_PRICE, le=MAX_PRICE)]
Int64 = Annotated[int, Meta(ge=INT64[0], le=INT64[1])]
Count = Annotated[int, Meta(ge=0, le=INT64[1])]
Count32 = Annotated[int, Meta(ge=0, le=2**31 - 1)]
