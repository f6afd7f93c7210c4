"""Foreign load: how many CPUs the rest of the machine keeps busy while we measure."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import psutil

# CPU times come in ticks of 10 ms, a process's and a CPU's: in a short round a few of them must
# not look like load.
TICKS_S = 0.05
_IDLE = ("idle", "iowait", "guest", "guest_nice")  # a guest's time is in its host's already


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """CPU seconds so far: of the CPUs that we may use, and of each of our processes."""

    at_s: float
    busy_s: float
    own_s: Mapping[int, float]


class LoadMeter(Protocol):
    """Something that reads CPU times."""

    def read(self, pids: Iterable[int]) -> Reading:
        """Read them now, ``pids`` being ours."""
        ...


class SystemMeter:
    """The system's own accounts, in which a hypervisor's stolen time is somebody's too."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._processes: dict[int, psutil.Process] = {}

    def read(self, pids: Iterable[int]) -> Reading:
        """Read them now; a process that is gone has used nothing more."""
        busy_s = sum(
            sum(value for name, value in times._asdict().items() if name not in _IDLE)
            for cpu, times in enumerate(psutil.cpu_times(percpu=True))
            if self._cpus is None or cpu in self._cpus
        )
        own_s = {}
        for pid in pids:
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                times = process.cpu_times()
            except psutil.Error:
                continue
            own_s[pid] = times.user + times.system
        return Reading(at_s=self._now(), busy_s=busy_s, own_s=own_s)


def foreign_cpus(before: Reading, after: Reading) -> float:
    """How many CPUs others kept busy between two readings, a few ticks forgiven; 0 at the least."""
    own_s = sum(spent - before.own_s.get(pid, 0.0) for pid, spent in after.own_s.items())
    foreign_s = after.busy_s - before.busy_s - own_s - TICKS_S
    return max(0.0, foreign_s) / max(after.at_s - before.at_s, 1e-9)
