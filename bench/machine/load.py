"""Foreign load: how many CPUs other processes keep busy during a measurement."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from bench.machine.system_files import text

# CPU times of processes and CPUs have a resolution of 10 ms (a tick): a few ticks in a short round
# must not count as load.
TICKS_S = 0.05
_STAT = Path("/proc/stat")
# Columns of Linux's ticks for each CPU: user, nice, system, idle, iowait, irq, softirq, steal, and
# those of guests, which are already part of the other columns.
_ALL, _IDLE = slice(8), slice(3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """CPU seconds so far, of the CPUs that we may use and of each of our processes."""

    at_s: float
    busy_s: float
    own_s: Mapping[int, float]


class LoadMeter(Protocol):
    """Reads CPU times."""

    def read(self, pids: Iterable[int]) -> CpuTimes:
        """Return the current times; ``pids`` are our processes."""
        ...


class SystemMeter:
    """Reads the system's CPU times. Time stolen by a hypervisor counts as busy."""

    def __init__(self, now: Callable[[], float] = time.monotonic, stat: Path = _STAT) -> None:
        """``stat`` is the path of Linux's CPU times."""
        self._now, self._stat = now, stat
        self._cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._processes: dict[int, psutil.Process] = {}

    def read(self, pids: Iterable[int]) -> CpuTimes:
        """Return the current times, without processes that have ended."""
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
        """Return the busy time of the CPUs that we may use, or of all if their numbers differ.

        A container's list may begin at 0, whatever CPUs of the machine it has (lxcfs).
        """
        listed = _busy_s_by_cpu(self._stat)
        if self._cpus is None or not self._cpus <= listed.keys():
            return sum(listed.values())
        return sum(listed[cpu] for cpu in self._cpus)


def _busy_s_by_cpu(stat: Path) -> dict[int, float]:
    """Return the busy seconds of each CPU by number, which psutil does not report."""
    lines = re.findall(r"^cpu(\d+) (.*)$", text(stat) or "", re.MULTILINE)
    if not lines:  # not Linux
        return {
            cpu: sum(times) - times.idle for cpu, times in enumerate(psutil.cpu_times(percpu=True))
        }
    busy_s = {}
    for number, columns in lines:
        ticks = [int(value) for value in columns.split()]
        busy_s[int(number)] = (sum(ticks[_ALL]) - sum(ticks[_IDLE])) / os.sysconf("SC_CLK_TCK")
    return busy_s


def foreign_cpus(before: CpuTimes, after: CpuTimes) -> float:
    """Return how many CPUs others kept busy between two readings; a few ticks are ignored."""
    own_s = sum(spent - before.own_s.get(pid, 0.0) for pid, spent in after.own_s.items())
    foreign_s = after.busy_s - before.busy_s - own_s - TICKS_S
    return max(0.0, foreign_s) / max(after.at_s - before.at_s, 1e-9)
