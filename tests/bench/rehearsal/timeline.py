"""The time of a simulated device."""

import time

from tests.bench.rehearsal import speed


class Timeline:
    """The time at which the device finishes its launched work, on the host's clock, in seconds.

    The launched work is this thread's CPU time, which excludes waiting and idling.
    """

    def __init__(self) -> None:
        self._slowness = 1 / speed()
        self._free_at = time.perf_counter()
        self._seen_s = time.thread_time()
        self.captures = False

    def reach(self) -> float:
        """Return the time at which the work launched so far will be finished, in seconds."""
        now, seen_s = time.perf_counter(), time.thread_time()
        # The thread time of a forked process starts at zero.
        launched_s, self._seen_s = max(0.0, seen_s - self._seen_s), seen_s
        begun_at = max(self._free_at, now - launched_s)
        self._free_at = max(begun_at + launched_s * self._slowness, now)
        return self._free_at

    def sleep(self, seconds: float) -> None:
        """Add idle time to the device, without blocking the host."""
        self._free_at = self.reach() + seconds

    def wait(self) -> None:
        """Block until the device has finished."""
        if self.captures:
            raise RuntimeError("operation not permitted when stream is capturing")
        time.sleep(max(0.0, self.reach() - time.perf_counter()))
