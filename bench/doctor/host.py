"""Findings about the host. Pure: the readings are arguments."""

from collections.abc import Collection, Iterable, Sequence

from bench.doctor.finding import Finding, Severity
from bench.machine.busiest import Busiest
from bench.units import GIB, counted, in_gib

LOAD = "load"
MAX_STOLEN = 0.02  # chosen: above it, rounds differ because of the hypervisor
MIN_FREE_BYTES = 4 * GIB  # four or five live workers of GoogLeNet
_GLIBC = (2, 35)  # the first with glibc.malloc.hugetlb


def load(foreign_cpus: Sequence[float], limit: float, busiest: Busiest) -> Finding:
    """Return the finding about the CPUs that other processes use, and the limit of a round.

    ``foreign_cpus``: their CPUs in each of several seconds. A burst voids a round like any load.
    """
    most = max(foreign_cpus)
    found = f"other processes use {most:.2f} CPUs"
    if most <= limit:
        return Finding(what=LOAD, found=found)
    busy = sum(cpus > limit for cpus in foreign_cpus)
    return Finding(
        what=LOAD,
        found=f"{found} (above {limit:g} in {busy} of {counted(len(foreign_cpus), 'second')}); the "
        f"busiest, with the CPUs that each uses: {busiest}",
        state=Severity.SPOILS,
        advice=f"rounds are voided above {limit:g}: wait until other processes end, or end them",
    )


def verdict(findings: Iterable[Finding]) -> str:
    """Return whether the machine can measure, as a sentence."""
    findings = tuple(findings)
    prevent = [each.what for each in findings if each.state is Severity.PREVENTS]
    if prevent:
        return f"This machine cannot measure: see {', '.join(prevent)}."
    for finding in findings:
        if finding.what == LOAD and finding.state is not Severity.FINE:
            return f"This machine is too busy to measure: {finding.found}."
    return "This machine can measure."


def stolen(share: float | None) -> Finding | None:
    """Return the finding about CPU time stolen by a hypervisor; None if it is not reported."""
    if share is None:
        return None
    found = f"{share:.1%} of the CPUs' busy time"
    if share <= MAX_STOLEN:
        return Finding(what="stolen time", found=found)
    advice = "the hypervisor serves other machines, or limits this one: use another machine"
    return Finding(what="stolen time", found=found, state=Severity.SPOILS, advice=advice)


def quota(allowed: float | None, threads: int, *, on_gpu: bool) -> Finding:
    """Return the finding about the CPU time that this process may use, for its threads."""
    if allowed is None:
        return Finding(what="CPU quota", found="none")
    found = f"the time of {allowed:g} CPUs, for {counted(threads, 'thread')}"
    if allowed >= threads:
        return Finding(what="CPU quota", found=found)
    advice = "threads that used up the quota are stopped in the middle of an iteration: " + (
        "raise the quota"
        if on_gpu or allowed < 1
        else f"set OMP_NUM_THREADS={int(allowed)}, or raise the quota"
    )
    return Finding(what="CPU quota", found=found, state=Severity.SPOILS, advice=advice)


def governors(names: Collection[str]) -> Finding | None:
    """Return the finding about frequency governors; None if there are none, as on virtual CPUs."""
    if not names:
        return None
    found = ", ".join(sorted(set(names)))
    if set(names) == {"performance"}:
        return Finding(what="frequency governor", found=found)
    advice = "clocks change with the load: run sudo cpupower frequency-set -g performance"
    return Finding(what="frequency governor", found=found, state=Severity.SPOILS, advice=advice)


def huge_pages(enabled: str | None, libc: tuple[str, str]) -> Finding | None:
    """Return the finding about transparent huge pages, and a C library that can request them.

    Returns None if the system has no such pages. ``libc`` is the library's name and version.
    """
    if enabled is None:
        return None
    chosen = enabled.partition("[")[2].partition("]")[0] or enabled.strip()
    found = f"{chosen}, {' '.join(libc).strip() or 'an unknown C library'}"
    if chosen == "always" or (chosen == "madvise" and _requests_huge_pages(libc)):
        return Finding(what="huge pages", found=found)
    return Finding(
        what="huge pages",
        found=found,
        state=Severity.SPOILS,
        advice="processes differ by 5 to 8 % instead of 1 to 2 %: use glibc 2.35 or later, which "
        "requests huge pages, and set /sys/kernel/mm/transparent_hugepage/enabled to madvise",
    )


def _requests_huge_pages(libc: tuple[str, str]) -> bool:
    name, version = libc
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    return name == "glibc" and numbers >= _GLIBC


def accounts(are_kept: bool) -> Finding:
    """Return the finding about the scheduler's accounts, which show disturbed iterations."""
    if are_kept:
        return Finding(what="scheduler's accounts", found="available")
    advice = "iterations disturbed by other processes count like any other: use more sets (--sets)"
    return Finding(
        what="scheduler's accounts", found="missing", state=Severity.SPOILS, advice=advice
    )


def memory(free_bytes: int) -> Finding:
    """Return the finding about free host memory."""
    found = f"{in_gib(free_bytes)} free"
    if free_bytes >= MIN_FREE_BYTES:
        return Finding(what="memory", found=found)
    advice = "few workers can be alive together, so sets take longer: free some memory"
    return Finding(what="memory", found=found, state=Severity.SPOILS, advice=advice)


def peak(*, can_be_reset: bool) -> Finding:
    """Return the finding about the resident set's peak, which gives a cell's memory on a CPU."""
    if can_be_reset:
        return Finding(what="peak memory", found="can be reset")
    return Finding(
        what="peak memory",
        found="cannot be reset",
        state=Severity.LIMITS,
        advice="the peak memory of a cell is left blank, because it would include building the "
        "cell: on Linux, make /proc/self/clear_refs writable",
    )


def compiler(path: str | None, name: str, variable: str) -> Finding:
    """Return the finding about a compiler of torch.compile, which ``variable`` may name."""
    what = f"compiler ({variable})"
    if path is not None:
        return Finding(what=what, found=path)
    advice = f"cells in compile mode fail: install {name}, or set {variable} to another compiler"
    return Finding(what=what, found=f"no {name}", state=Severity.LIMITS, advice=advice)


def headers(path: str, *, are_there: bool) -> Finding:
    """Return the finding about Python's headers, which compiled code includes."""
    if are_there:
        return Finding(what="Python's headers", found=path)
    advice = "cells in compile mode fail: install the headers (python3-dev)"
    return Finding(
        what="Python's headers", found=f"no {path}", state=Severity.LIMITS, advice=advice
    )


def cache(folder: str, reason: str | None, *, is_users: bool = True) -> Finding:
    """Return the finding about the folder for compiled code.

    ``reason`` says why the folder is not writable. ``is_users`` says whether it is a user's folder,
    not one for temporary files.
    """
    if reason is None:
        why = "" if is_users else ", because no home folder is writable; a reboot may delete it"
        return Finding(what="cache", found=f"{folder}{why}")
    advice = (
        "cells in compile mode fail: make the folder writable, or set TORCHINDUCTOR_CACHE_DIR to "
        "another one"
    )
    return Finding(what="cache", found=f"{folder}: {reason}", state=Severity.LIMITS, advice=advice)


def unused_card() -> Finding:
    """Return the finding about an NVIDIA card whose driver does not start."""
    return Finding(
        what="CUDA",
        found="there is an NVIDIA device, but its driver shows none",
        state=Severity.LIMITS,
        advice="see nvidia-smi for the reason: a container needs --gpus all, an upgraded driver "
        "needs a restart",
    )
