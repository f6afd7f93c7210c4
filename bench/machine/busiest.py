"""The busiest processes of others: who keeps the CPUs busy, between two readings."""

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import psutil

MOST = 3  # processes that are named
LEAST_CPUS = 0.05  # a few ticks of 10 ms in a second are no load
WATCHED_S = 1.0
_FACTS = ["pid", "ppid", "create_time", "cpu_times", "name"]
_Key = tuple[int, float]  # process id and start: an id is used again when its process has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyProcess:
    """A process, and how many CPUs it kept busy."""

    pid: int
    name: str
    """Empty if the system hides it."""
    cpus: float

    def __str__(self) -> str:
        """Return the process as a part of a sentence."""
        name = self.name or "name hidden, another user's"
        return f"process {self.pid} ({name}) {self.cpus:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Busiest:
    """The busiest processes of others, the busiest first."""

    processes: tuple[BusyProcess, ...]
    hidden: int = 0
    """Processes of other users whose CPU time the system hides."""

    def __str__(self) -> str:
        """Return the processes as a part of a sentence: with the CPUs that each uses."""
        if self.processes:
            return ", ".join(map(str, self.processes))
        if self.hidden:
            return "unknown, because the system hides the CPU times of other users' processes"
        return "none that is visible here: they have ended, or run outside this container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """CPU seconds so far, of each process that is not ours."""

    at_s: float
    spent_s: Mapping[_Key, float]
    names: Mapping[_Key, str]
    hidden: int


def watch(own: Collection[int], sleep: Callable[[float], None] = time.sleep) -> Busiest:
    """Return the processes that are busiest in the next second; ``own``: ids of our processes."""
    before = read(own)
    sleep(WATCHED_S)
    return between(before, read(own))


def read(own: Collection[int]) -> Reading:
    """Read the CPU times of all processes, except our own and those that our workers started."""
    at_s = time.monotonic()
    found = [process.info for process in psutil.process_iter(_FACTS, ad_value=None)]
    ours = _with_descendants(own, {facts["pid"]: facts["ppid"] for facts in found})
    others = {
        (facts["pid"], facts["create_time"]): facts for facts in found if facts["pid"] not in ours
    }
    visible = {key: facts for key, facts in others.items() if facts["cpu_times"] is not None}
    return Reading(
        at_s=at_s,
        spent_s={
            key: facts["cpu_times"].user + facts["cpu_times"].system
            for key, facts in visible.items()
        },
        names={key: facts["name"] or "" for key, facts in visible.items()},
        hidden=len(others) - len(visible),
    )


def between(before: Reading, after: Reading) -> Busiest:
    """Return the processes that were busiest between two readings, at most ``MOST``.

    A process that started in between counts from its start.
    """
    elapsed_s = max(after.at_s - before.at_s, 1e-9)
    busy = [
        BusyProcess(pid=key[0], name=after.names[key], cpus=cpus)
        for key, spent_s in after.spent_s.items()
        if (cpus := (spent_s - before.spent_s.get(key, 0.0)) / elapsed_s) >= LEAST_CPUS
    ]
    busy.sort(key=lambda process: process.cpus, reverse=True)
    on_our_cpus = [process for process in busy if _shares_cpus(process.pid)]
    return Busiest(processes=tuple(on_our_cpus[:MOST]), hidden=after.hidden)


def _with_descendants(own: Collection[int], parents: Mapping[int, int | None]) -> set[int]:
    """Return our processes and those that they started, such as compilers.

    This process may also be a user's own, for example a notebook: what else it started is foreign.
    """
    found = new = set(own)
    while new := {
        pid for pid, parent in parents.items() if parent in new - {os.getpid()} and pid not in found
    }:
        found |= new
    return found


def _shares_cpus(pid: int) -> bool:
    """Whether a process may run on a CPU that this process may use, as far as is known."""
    if not hasattr(os, "sched_getaffinity"):
        return True
    try:
        return not os.sched_getaffinity(pid).isdisjoint(os.sched_getaffinity(0))
    except OSError:
        return True
