"""The fork server, whose processes die of events of one symbol: as $DEATH says, killed or with an exception."""

from __future__ import annotations

import os
import signal

import pytest

from contracts.batch import MicroBatch
from features.bars.windows import Windows
from mdp.runtime import fork_server

SYMBOL = "POISON"
KILLED, RAISES = "killed", "raises"

_step = Windows.step


def step(windows: Windows, batch: MicroBatch) -> MicroBatch:
    if (batch.events["symbol"] == SYMBOL).any():
        if os.environ["DEATH"] == RAISES:
            raise ValueError("poison")
        os.kill(os.getpid(), signal.SIGKILL)
    return _step(windows, batch)


def main() -> None:
    pytest.MonkeyPatch().setattr(Windows, "step", step)
    fork_server.main()


if __name__ == "__main__":
    main()
