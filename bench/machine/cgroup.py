"""What Linux's control groups leave a process: those of its own groups, and of all above them.

Each may have version 2's files, in one tree, or version 1's, in a tree for each controller.
"""

from collections.abc import Iterator
from pathlib import Path

from bench.machine.system_files import text

_CONTROLLERS = Path("sys/fs/cgroup")
_ROOT = Path("/")


def quota_cpus(root: Path = _ROOT) -> float | None:
    """How many CPUs' time it may take; None where nothing bounds it. ``root``: of all files."""
    return min(_quotas(root), default=None)


def left_bytes(root: Path = _ROOT) -> int | None:
    """What memory it may still take; None where nothing bounds it. ``root``: of all files.

    Pages of files that were not used lately do not count as taken: the system gives them up first.
    """
    return min((max(0, left) for left in _lefts(root)), default=None)


def _quotas(root: Path) -> Iterator[float]:
    for folder in _folders("cpu", root):
        parts = (text(folder / "cpu.max") or "").split()  # "max 100000", or microseconds of those
        if not parts:
            found = text(folder / "cpu.cfs_quota_us"), text(folder / "cpu.cfs_period_us")
            parts = [one for one in found if one is not None]
        if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):
            yield int(parts[0]) / int(parts[1])


def _lefts(root: Path) -> Iterator[int]:
    for folder in _folders("memory", root):
        used = _number(folder / "memory.current", folder / "memory.usage_in_bytes")
        if used is None:
            continue
        statistics = dict(
            line.split(maxsplit=1) for line in (text(folder / "memory.stat") or "").splitlines()
        )
        # Version 1's first is the group's own alone, its second that of those below it too.
        unused = statistics.get("total_inactive_file", statistics.get("inactive_file", "0"))
        for limit in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            if (most := _number(folder / limit)) is not None:
                yield most - used + int(unused)


def _number(*files: Path) -> int | None:
    """What the first of these says that says a number, and not ``max``."""
    found = (text(file) or "" for file in files)
    return next((int(one) for one in found if one.isdecimal()), None)


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """This process's groups that have a controller's files, and all above them."""
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        below = Path(path.lstrip("/"))
        for tree in dict.fromkeys((controllers, *([controller] if controllers else []))):
            top = root / _CONTROLLERS / tree
            # A container may see no more than the end of its own path.
            yield from (top / part for part in (below, *below.parents) if ".." not in part.parts)
            yield top
