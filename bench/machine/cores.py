"""The CPU cores that this process and its workers may use."""

import os
from pathlib import Path

from bench.machine import cgroup
from bench.machine.system_files import text


def cpus_for_workers(name: str = "pinned") -> frozenset[int] | None:
    """Return one CPU of each physical core that this process may use; None for no restriction.

    All cores are included even if a control group allows the time of fewer CPUs, so that workers
    can avoid cores that other processes use.
    """
    return None if name == "default" else _cpu_of_each_core()


def _cpu_of_each_core() -> frozenset[int] | None:
    """Return the first CPU of each core that this process may use; None if unknown."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    first_of_core = {_siblings(cpu): cpu for cpu in reversed(allowed)}
    return frozenset(first_of_core.values())


def _siblings(cpu: int) -> str:
    """Return the hyper-threads that share a CPU's core, as Linux lists them."""
    listed = text(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
    return listed or str(cpu)


def allowed_cores() -> int:
    """Return the number of physical cores that this process may run on."""
    import psutil

    cpus = _cpu_of_each_core()
    return (len(cpus) if cpus else psutil.cpu_count(logical=False) or os.cpu_count()) or 1


def physical_cores() -> int:
    """Return the number of physical cores that this process may keep busy.

    This is limited by the CPU quota of a control group, for example of a container: threads that
    exceed the quota are paused in the middle of an iteration.
    """
    quota = cgroup.quota_cpus()
    return allowed_cores() if quota is None else max(1, min(allowed_cores(), int(quota)))
