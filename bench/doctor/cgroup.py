"""The CPU time that Linux's control groups leave a process: its own group's, and those above it."""

from collections.abc import Iterator
from pathlib import Path

from bench.doctor.reading import text

_CONTROLLERS = Path("sys/fs/cgroup")


def quota_cpus(root: Path = Path("/")) -> float | None:
    """How many CPUs' time it may take; None where nothing bounds it. ``root`` is the file system's.

    Version 2 has ``cpu.max`` in each group; version 1 two files, in a tree of the CPUs' own.
    """
    return min(_quotas(root), default=None)


def _quotas(root: Path) -> Iterator[float]:
    for folder in _folders(root):
        parts = (text(folder / "cpu.max") or "").split()  # "max 100000", or microseconds of those
        if not parts:
            found = text(folder / "cpu.cfs_quota_us"), text(folder / "cpu.cfs_period_us")
            parts = [one for one in found if one is not None]
        if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):
            yield int(parts[0]) / int(parts[1])


def _folders(root: Path) -> Iterator[Path]:
    """Those of this process's groups, and of all above them."""
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        below = Path(path.lstrip("/"))
        for tree in dict.fromkeys((controllers, *(["cpu"] if controllers else []))):
            top = root / _CONTROLLERS / tree
            # A container may see no more than the end of its own path.
            yield from (top / part for part in (below, *below.parents) if ".." not in part.parts)
            yield top
