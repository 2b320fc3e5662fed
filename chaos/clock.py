"""A wall clock that can be stepped for single processes, without changing the machine's clock."""

from __future__ import annotations

import mmap
import subprocess
from pathlib import Path
from typing import Final

_SHIM: Final = Path(__file__).with_name("clock.c")
_BYTES: Final = 8


class SteppedClock:
    """Follows the machine's clock with the offset `apart`.

    Args:
        folder: for the compiled shim and the file that it reads; needs a C compiler, `cc`.
    """

    def __init__(self, folder: Path) -> None:
        library, file = folder / "clock.so", folder / "clock"
        compile_shim = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(_SHIM), "-ldl"]
        subprocess.run(compile_shim, check=True)  # noqa: S603
        file.write_bytes(bytes(_BYTES))
        with file.open("r+b") as opened:
            self._nanoseconds = memoryview(mmap.mmap(opened.fileno(), _BYTES)).cast("q")
        self.environment: Final = {"LD_PRELOAD": str(library), "MDP_CLOCK_FILE": str(file)}

    @property
    def apart(self) -> float:
        """Seconds ahead of the machine's clock, for all processes that have been started with `environment`."""
        return self._nanoseconds[0] / 1e9

    @apart.setter
    def apart(self, seconds: float) -> None:
        self._nanoseconds[0] = round(seconds * 1e9)
