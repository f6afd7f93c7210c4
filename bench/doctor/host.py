"""Findings about the host. Pure: what was read goes in."""

from collections.abc import Collection

from bench.doctor.finding import Finding, State

MOST_STOLEN = 0.02  # of a CPU: as much as an iteration may be held up for, and count
LEAST_FREE_BYTES = 4 * 2**30  # four or five live workers of GoogLeNet's
_GIB = 2**30


def load(foreign_cpus: float, limit: float) -> Finding:
    """Of the CPUs that others keep busy, and of how many may be."""
    found = f"others keep {foreign_cpus:.2f} CPUs busy"
    if foreign_cpus <= limit:
        return Finding(what="load", found=found)
    advice = f"rounds are voided above {limit:g}: end what else runs, or raise --foreign-cpus"
    return Finding(what="load", found=found, state=State.SPOILS, advice=advice)


def stolen(share: float) -> Finding:
    """Of the CPU time that a hypervisor gave to others, as a share of one CPU."""
    found = f"a hypervisor takes {share:.0%} of a CPU"
    if share <= MOST_STOLEN:
        return Finding(what="stolen time", found=found)
    advice = "its other guests are busy: measure at another time, or on a machine of your own"
    return Finding(what="stolen time", found=found, state=State.SPOILS, advice=advice)


def quota(cpu_max: str | None, cpus: int) -> Finding | None:
    """Of a control group's ``cpu.max``; None where there is no such group."""
    limit, _, period = (cpu_max or "").partition(" ")
    if not limit.isdecimal() or not period.strip().isdecimal():
        return None if cpu_max is None else Finding(what="CPU quota", found="none")
    allowed = int(limit) / int(period)
    found = f"{allowed:g} CPUs' time, of {cpus} CPUs"
    if allowed >= cpus:
        return Finding(what="CPU quota", found=found)
    advice = (
        "threads that have used it up are stopped in the middle of an iteration: set "
        f"OMP_NUM_THREADS={max(1, int(allowed))}, or give the container whole CPUs"
    )
    return Finding(what="CPU quota", found=found, state=State.SPOILS, advice=advice)


def governors(names: Collection[str]) -> Finding | None:
    """Of the CPUs' frequency governors; None where the system tells none, as virtual ones do."""
    if not names:
        return None
    found = ", ".join(sorted(set(names)))
    if "powersave" not in names:
        return Finding(what="frequency governor", found=found)
    advice = "clocks follow the load late: cpupower frequency-set -g performance"
    return Finding(what="frequency governor", found=found, state=State.SPOILS, advice=advice)


def huge_pages(enabled: str | None) -> Finding | None:
    """Of Linux's setting for transparent huge pages; None where there is none."""
    if enabled is None:
        return None
    chosen = enabled.partition("[")[2].partition("]")[0] or enabled.strip()
    if chosen in {"always", "madvise"}:
        return Finding(what="huge pages", found=chosen)
    advice = (
        "processes differ by 5 to 8 % instead of 1 to 2: "
        "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
    )
    return Finding(what="huge pages", found=chosen, state=State.SPOILS, advice=advice)


def accounts(are_kept: bool) -> Finding:
    """Of the scheduler's accounts of threads, which tell an iteration that others held up."""
    if are_kept:
        return Finding(what="scheduler's accounts", found="kept")
    advice = "an iteration that others held up counts as any other: take more sets (--sets)"
    return Finding(what="scheduler's accounts", found="none", state=State.SPOILS, advice=advice)


def memory(free_bytes: int) -> Finding:
    """Of the host's memory that is free."""
    found = f"{free_bytes / _GIB:.1f} GiB are free"
    if free_bytes >= LEAST_FREE_BYTES:
        return Finding(what="memory", found=found)
    advice = "few workers are alive together, and sets take longer: free some"
    return Finding(what="memory", found=found, state=State.SPOILS, advice=advice)


def compiler(path: str | None, name: str) -> Finding:
    """Of the C++ compiler that torch.compile calls."""
    if path is not None:
        return Finding(what="C++ compiler", found=path)
    advice = "cells in compile fail: install it (apt-get install g++), or name one in CXX"
    return Finding(what="C++ compiler", found=f"no {name}", state=State.PREVENTS, advice=advice)


def cache(folder: str, reason: str | None) -> Finding:
    """Of the folder in which compiled code is kept; ``reason`` says why it cannot be written."""
    if reason is None:
        return Finding(what="cache", found=folder)
    advice = "cells in compile fail: make it writable, or name another in XDG_CACHE_HOME"
    return Finding(what="cache", found=f"{folder}: {reason}", state=State.PREVENTS, advice=advice)
