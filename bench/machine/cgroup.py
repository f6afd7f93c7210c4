"""Limits from Linux's control groups: the process's own groups and all their parents.

Version 2 has all files in one tree, version 1 has one tree per controller.
"""

from collections.abc import Iterator
from pathlib import Path

from bench.machine.system_files import text

_CONTROLLERS = Path("sys/fs/cgroup")
_ROOT = Path("/")


def quota_cpus(root: Path = _ROOT) -> float | None:
    """Return the quota of CPU time, in CPUs; None without a limit. ``root``: root of all files."""
    return min(_quotas(root), default=None)


def left_bytes(root: Path = _ROOT) -> int | None:
    """Return how much more memory may be used; None without a limit. ``root``: root of all files.

    File pages that were not used recently count as free, because the system reclaims them first.
    """
    return min((max(0, left) for left in _left_bytes(root)), default=None)


def _quotas(root: Path) -> Iterator[float]:
    for folder in _folders("cpu", root):
        parts = (text(folder / "cpu.max") or "").split()  # "max 100000", or "QUOTA PERIOD" in µs
        if not parts:
            values = text(folder / "cpu.cfs_quota_us"), text(folder / "cpu.cfs_period_us")
            parts = [value for value in values if value is not None]
        if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):
            yield int(parts[0]) / int(parts[1])


def _left_bytes(root: Path) -> Iterator[int]:
    for folder in _folders("memory", root):
        used_bytes = _number(folder / "memory.current", folder / "memory.usage_in_bytes")
        if used_bytes is None:
            continue
        statistics = dict(
            line.split(maxsplit=1) for line in (text(folder / "memory.stat") or "").splitlines()
        )
        # In version 1, "inactive_file" is without the groups below; "total_…" is with them.
        unused = statistics.get("total_inactive_file", statistics.get("inactive_file", "0"))
        for limit in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            if (limit_bytes := _number(folder / limit)) is not None:
                yield limit_bytes - used_bytes + int(unused)


def _number(*files: Path) -> int | None:
    """Return the number in the first file that contains one, and not ``max``."""
    texts = (text(file) or "" for file in files)
    return next((int(value) for value in texts if value.isdecimal()), None)


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's groups for a controller, and of all their parents."""
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        below = Path(path.lstrip("/"))
        for tree in dict.fromkeys((controllers, *([controller] if controllers else []))):
            top = root / _CONTROLLERS / tree
            # A container may see only the end of its path.
            yield from (top / part for part in (below, *below.parents) if ".." not in part.parts)
            yield top
