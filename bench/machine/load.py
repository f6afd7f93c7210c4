"""Foreign load: how many CPUs the rest of the machine keeps busy while we measure."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from bench.machine.system_files import text

# CPU times come in ticks of 10 ms, a process's and a CPU's: in a short round a few of them must
# not look like load.
TICKS_S = 0.05
_STAT = Path("/proc/stat")
# Of what Linux counts in ticks for each CPU, in its order: user, nice, system, idle, iowait, irq,
# softirq, steal, and guests', which their host's have in them already.
_ALL, _IDLE = slice(8), slice(3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """CPU seconds so far: of the CPUs that we may use, and of each of our processes."""

    at_s: float
    busy_s: float
    own_s: Mapping[int, float]


class LoadMeter(Protocol):
    """Something that reads CPU times."""

    def read(self, pids: Iterable[int]) -> CpuTimes:
        """Read them now, ``pids`` being ours."""
        ...


class SystemMeter:
    """The system's own accounts, in which a hypervisor's stolen time is somebody's too."""

    def __init__(self, now: Callable[[], float] = time.monotonic, stat: Path = _STAT) -> None:
        """``stat``: where Linux keeps them."""
        self._now, self._stat = now, stat
        self._cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._processes: dict[int, psutil.Process] = {}

    def read(self, pids: Iterable[int]) -> CpuTimes:
        """Read them now; a process that is gone has used nothing more."""
        busy_s, own_s = self._busy_s(), {}
        for pid in pids:
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                times = process.cpu_times()
            except psutil.Error:
                continue
            own_s[pid] = times.user + times.system
        return CpuTimes(at_s=self._now(), busy_s=busy_s, own_s=own_s)

    def _busy_s(self) -> float:
        """Of the CPUs that we may use; of all that are listed where they have numbers of their own.

        A container's list may begin at 0 whichever CPUs of the machine it has (lxcfs).
        """
        listed = _of_each_cpu(self._stat)
        if self._cpus is None or not self._cpus <= listed.keys():
            return sum(listed.values())
        return sum(listed[cpu] for cpu in self._cpus)


def _of_each_cpu(stat: Path) -> dict[int, float]:
    """For how long each CPU has been busy, by its number, which psutil tells of none."""
    lines = re.findall(r"^cpu(\d+) (.*)$", text(stat) or "", re.MULTILINE)
    if not lines:  # no Linux
        return {cpu: sum(of) - of.idle for cpu, of in enumerate(psutil.cpu_times(percpu=True))}
    found = {}
    for number, counted in lines:
        ticks = [int(one) for one in counted.split()]
        found[int(number)] = (sum(ticks[_ALL]) - sum(ticks[_IDLE])) / os.sysconf("SC_CLK_TCK")
    return found


def foreign_cpus(before: CpuTimes, after: CpuTimes) -> float:
    """How many CPUs others kept busy between two readings, a few ticks forgiven; 0 at the least."""
    own_s = sum(spent - before.own_s.get(pid, 0.0) for pid, spent in after.own_s.items())
    foreign_s = after.busy_s - before.busy_s - own_s - TICKS_S
    return max(0.0, foreign_s) / max(after.at_s - before.at_s, 1e-9)
