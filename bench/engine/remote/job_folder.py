"""The folder of a job, for clusters whose nodes share folders: its messages, and what it is told.

A job ends if its run does not look into the folder any more.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from bench.engine.remote.process import JobProcess

LEASE_S = 300.0  # chosen: a run reads several times a second, but its disk or network may hang
POLL_S = 0.25


class JobFolder:
    """Reads and writes the files of a job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines, self._stop = path / "messages.jsonl", path / "stop"
        self._alive = path / "alive"
        self._offset = 0

    def read(self) -> bytes:
        """Return the complete lines since the last call; the job then knows that the run is alive.

        The file is opened each time, so that a network file system looks for new content.
        """
        self._alive.touch()
        try:
            with self._lines.open("rb") as file:
                file.seek(self._offset)
                lines, end, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return b""
        self._offset += len(lines + end)
        return lines + end

    def stop(self) -> None:
        """Let the job judge the rounds until now, and end."""
        self._stop.touch()

    def measure(self, job: bytes, variables: Mapping[str, str]) -> None:
        """Measure a job on this node, and write its messages."""
        with (
            closing(JobProcess(job, variables)) as process,
            self._lines.open("ab", buffering=0) as file,
        ):
            watching = threading.Thread(target=self._watch, args=(process.interrupt,), daemon=True)
            watching.start()
            for chunk in process.chunks():
                file.write(chunk)

    def _watch(self, interrupt: Callable[[], None]) -> None:
        """Interrupt the job when the run says so, or does not read any more."""
        seen, seen_at = self._last_read(), time.monotonic()
        while not self._stop.exists() and time.monotonic() - seen_at < LEASE_S:
            time.sleep(POLL_S)
            # The clocks of two machines differ, so only a change counts.
            if (now := self._last_read()) != seen:
                seen, seen_at = now, time.monotonic()
        interrupt()

    def _last_read(self) -> int:
        try:
            return self._alive.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
