"""The live page: bars, signals and figures from the database, sent to browsers as they appear."""

from __future__ import annotations

from typing import Final

PORT: Final = 8501
