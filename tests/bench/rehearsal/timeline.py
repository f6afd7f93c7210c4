"""The time of a device that is played."""

import time

from tests.bench.rehearsal import speed


class Timeline:
    """When the device will be done with what it was given, by the host's clock, in seconds.

    The CPU time of this thread is what was launched: neither waiting nor being idle is work.
    """

    def __init__(self) -> None:
        self._slowness = 1 / speed()
        self._free_at = time.perf_counter()
        self._seen_s = time.thread_time()
        self.captures = False

    def reach(self) -> float:
        """When what was launched until now will be done."""
        now, seen_s = time.perf_counter(), time.thread_time()
        # A forked process's time begins anew.
        launched_s, self._seen_s = max(0.0, seen_s - self._seen_s), seen_s
        begun_at = max(self._free_at, now - launched_s)
        self._free_at = max(begun_at + launched_s * self._slowness, now)
        return self._free_at

    def sleep(self, seconds: float) -> None:
        """Have the device do nothing for so long, while the host goes on."""
        self._free_at = self.reach() + seconds

    def wait(self) -> None:
        """Wait until it is done."""
        if self.captures:
            raise RuntimeError("operation not permitted when stream is capturing")
        time.sleep(max(0.0, self.reach() - time.perf_counter()))
