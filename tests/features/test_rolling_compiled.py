from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from features.rolling import formulas, ring, rolling, wilder
from features.rolling.rolling import RollingFeatures
from tests.features.rolling_logs import KINDS, WINDOW, feature, frame, row
from tests.kernels import Signatures, compiled

PARTS = (formulas, ring, rolling, wilder)


def bars_and_states() -> tuple[Signatures, Signatures]:
    """After the imports; and when bars have come, were amended, and states have gone."""
    imported = compiled(*PARTS)
    features = machine()
    for start in (1, 41):
        features.update(
            frame([row(start + slot, 100.0 + slot, symbol=symbol) for slot in range(40) for symbol in "ABC"])
        )
        rows = [row(start + slot, 100.0 + slot, symbol=symbol) for slot in range(40) for symbol in "ABC"]
        features.update(frame(rows))
        features.update(frame([row(start + 39, 1.0, revision=1), row(start + 39, 2.0, offset=99, symbol="D")]))
        features.provisional(frame([row(start + 40, 3.0, offset=100)]))
        state = pickle.loads(pickle.dumps(features.snapshot()))
        features = machine()
        features.restore(state)
    return imported, compiled(*PARTS)


def machine() -> RollingFeatures:
    return RollingFeatures([feature(kind, 6) for kind in KINDS], WINDOW, 3 * WINDOW)


def test_nothing_is_compiled_while_bars_come_and_states_go() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        imported, ended = fresh.submit(bars_and_states).result()
    assert imported
    assert ended == imported
