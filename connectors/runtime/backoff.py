"""How long to wait before the next attempt to connect: exponentially longer, with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable

from connectors.manifest import ReconnectSection


class Backoff:
    """The delays of one connector.

    Each lies at random between half of its bound and the bound, which doubles from `first` to `longest`, so that many
    connectors do not all come back at once. A connection that has lasted for `longest` begins anew with the first.
    """

    def __init__(self, config: ReconnectSection, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._config, self._uniform = config, uniform
        self._bound = config.first_s

    def delay(self, lasted_s: float) -> float:
        """The delay in seconds after a connection that has lasted for so many seconds; 0 if there was none."""
        if lasted_s >= self._config.longest_s:
            self._bound = self._config.first_s
        bound, self._bound = self._bound, min(2 * self._bound, self._config.longest_s)
        return self._uniform(bound / 2, bound)
