"""Findings about the host. Pure: what was read goes in."""

from collections.abc import Collection

from bench.doctor.finding import Finding, Severity
from bench.units import GIB, in_gib

MOST_STOLEN = 0.02  # chosen: of more, rounds differ by what a hypervisor does
LEAST_FREE_BYTES = 4 * GIB  # four or five live workers of GoogLeNet's
_GLIBC = (2, 35)  # has glibc.malloc.hugetlb


def load(foreign_cpus: float, limit: float) -> Finding:
    """Of the CPUs that others keep busy, and of how many may be."""
    found = f"others keep {foreign_cpus:.2f} CPUs busy"
    if foreign_cpus <= limit:
        return Finding(what="load", found=found)
    advice = f"rounds are voided above {limit:g}: wait until nothing else runs, or end it"
    return Finding(what="load", found=found, state=Severity.SPOILS, advice=advice)


def stolen(share: float | None) -> Finding | None:
    """Of the time in which CPUs had work and a hypervisor kept them; None where none is told."""
    if share is None:
        return None
    found = f"{share:.1%} of the time in which CPUs had work"
    if share <= MOST_STOLEN:
        return Finding(what="stolen time", found=found)
    advice = "the hypervisor has others to serve, or bounds this machine: measure elsewhere"
    return Finding(what="stolen time", found=found, state=Severity.SPOILS, advice=advice)


def quota(allowed: float | None, threads: int, *, on_gpu: bool) -> Finding:
    """Of the CPUs' time that this process may take, and of the threads that want it."""
    if allowed is None:
        return Finding(what="CPU quota", found="none")
    found = f"{allowed:g} CPUs' time, for {threads} threads"
    if allowed >= threads:
        return Finding(what="CPU quota", found=found)
    advice = "threads that have used it up are stopped in the middle of an iteration: " + (
        "give it more CPUs"
        if on_gpu or allowed < 1
        else f"set OMP_NUM_THREADS={int(allowed)}, or give it more CPUs"
    )
    return Finding(what="CPU quota", found=found, state=Severity.SPOILS, advice=advice)


def governors(names: Collection[str]) -> Finding | None:
    """Of the CPUs' frequency governors; None where the system tells none, as virtual ones do."""
    if not names:
        return None
    found = ", ".join(sorted(set(names)))
    if set(names) == {"performance"}:
        return Finding(what="frequency governor", found=found)
    advice = "clocks change with the load: sudo cpupower frequency-set -g performance"
    return Finding(what="frequency governor", found=found, state=Severity.SPOILS, advice=advice)


def huge_pages(enabled: str | None, libc: tuple[str, str]) -> Finding | None:
    """Of Linux's transparent huge pages, and of a C library that can ask for them.

    None where there are none. ``libc`` is its name and version.
    """
    if enabled is None:
        return None
    chosen = enabled.partition("[")[2].partition("]")[0] or enabled.strip()
    found = f"{chosen}, {' '.join(libc).strip() or 'an unknown C library'}"
    if chosen == "always" or (chosen == "madvise" and _asks(libc)):
        return Finding(what="huge pages", found=found)
    return Finding(
        what="huge pages",
        found=found,
        state=Severity.SPOILS,
        advice="processes differ by 5 to 8 % instead of 1 to 2: glibc asks for them from "
        "2.35 on, where the system has them at madvise "
        "(/sys/kernel/mm/transparent_hugepage/enabled)",
    )


def _asks(libc: tuple[str, str]) -> bool:
    name, version = libc
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    return name == "glibc" and numbers >= _GLIBC


def accounts(are_kept: bool) -> Finding:
    """Of the scheduler's accounts of threads, which tell an iteration that others held up."""
    if are_kept:
        return Finding(what="scheduler's accounts", found="kept")
    advice = "an iteration that others held up counts as any other: take more sets (--sets)"
    return Finding(what="scheduler's accounts", found="none", state=Severity.SPOILS, advice=advice)


def memory(free_bytes: int) -> Finding:
    """Of the host's memory that is free."""
    found = f"{in_gib(free_bytes)} are free"
    if free_bytes >= LEAST_FREE_BYTES:
        return Finding(what="memory", found=found)
    advice = "few workers are alive together, and sets take longer: free some"
    return Finding(what="memory", found=found, state=Severity.SPOILS, advice=advice)


def peak(*, can_be_reset: bool) -> Finding:
    """Of the resident set's peak, from which a cell's memory on a CPU is told."""
    if can_be_reset:
        return Finding(what="peak memory", found="can be reset")
    return Finding(
        what="peak memory",
        found="cannot be reset",
        state=Severity.LIMITS,
        advice="what a cell holds at the most is left blank, since building it would be counted "
        "too: on Linux, make /proc/self/clear_refs writable",
    )


def compiler(path: str | None, name: str, variable: str) -> Finding:
    """Of a compiler that torch.compile calls, which ``variable`` may name."""
    what = f"compiler ({variable})"
    if path is not None:
        return Finding(what=what, found=path)
    advice = f"cells in compile fail: install {name}, or name another in {variable}"
    return Finding(what=what, found=f"no {name}", state=Severity.LIMITS, advice=advice)


def headers(path: str, *, are_there: bool) -> Finding:
    """Of Python's headers, which compiled code includes."""
    if are_there:
        return Finding(what="Python's headers", found=path)
    advice = "cells in compile fail: install them (python3-dev)"
    return Finding(
        what="Python's headers", found=f"no {path}", state=Severity.LIMITS, advice=advice
    )


def cache(folder: str, reason: str | None, *, is_users: bool = True) -> Finding:
    """Of the folder in which compiled code is kept; ``reason`` says why it cannot be written.

    ``is_users``: it is where a user's are, and not where temporary files are.
    """
    if reason is None:
        why = "" if is_users else ", since no home can be written; it may not outlive a reboot"
        return Finding(what="cache", found=f"{folder}{why}")
    advice = "cells in compile fail: make it writable, or name another in TORCHINDUCTOR_CACHE_DIR"
    return Finding(what="cache", found=f"{folder}: {reason}", state=Severity.LIMITS, advice=advice)


def unused_card() -> Finding:
    """Of an NVIDIA card whose driver does not start."""
    return Finding(
        what="CUDA",
        found="there is an NVIDIA device, and its driver shows none",
        state=Severity.LIMITS,
        advice="nvidia-smi says why: a container needs --gpus all, an upgraded driver a restart",
    )
