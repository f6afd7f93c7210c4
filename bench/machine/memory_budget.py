"""The room that workers have: cores to prepare on, and memory to live in together."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.machine import cgroup
from bench.machine.environment import physical_cores
from bench.machine.system_files import text
from bench.units import in_mib

# Of the memory that is free now: what we do not see coming needs some too.
USABLE = 0.9
_VMSTAT = Path("/proc/vmstat")


class MemoryBudget:
    """What the machine has left for one more worker, by what the first ones turned out to hold."""

    def __init__(
        self,
        *,
        limit_bytes: int | None = None,
        free_bytes: "Callable[[], int] | None" = None,
        cores: int | None = None,
        on_gpu: bool = False,
    ) -> None:
        """``on_gpu``: workers hold a GPU's memory besides the host's."""
        self.cores = cores or physical_cores()
        self._limit_bytes = limit_bytes
        self._free_bytes = free_bytes or free_host_bytes
        self._host_bytes: dict[str, int] = {}
        self._device_bytes: dict[str, int] = {}
        self._device_free_bytes: int | None = None
        self._on_gpu = on_gpu
        self._context_bytes: int | None = None
        self._claimed = out_of_memory_kills()

    @property
    def wants_one_at_a_time(self) -> bool:
        """Whether workers must be started one by one, to see what each takes of the device."""
        return self._on_gpu and self._context_bytes is None

    def learn(self, group: str, facts: Mapping[str, Any], *, alone: bool = False) -> None:
        """Take in what a worker of a group holds, and what its device has left.

        ``alone``: since the last one was learned of, nothing of ours but this one has changed what
        the device has left. What that fell by, and the allocator does not know of, is the worker's
        context: CUDA's own memory, kernels that were loaded, and workspaces of libraries.
        """
        before, free = self._device_free_bytes, facts.get("device_free_bytes")
        if alone and before is not None and free is not None:
            outside = before - free - int(facts.get("device_reserved_bytes") or 0)
            self._context_bytes = max(self._context_bytes or 0, outside)
        for known, name in ((self._host_bytes, "host_bytes"), (self._device_bytes, "device_bytes")):
            known[group] = max(known.get(group, 0), facts.get(name) or 0)
        self._device_free_bytes = free

    def holds_another(self, group: str, *, live: int, starting: int) -> bool:
        """Whether one more worker fits beside ``live`` ones, of which ``starting`` still grow."""
        if group not in self._host_bytes:
            return starting == 0  # the first of its kind is measured before others start
        host_bytes = self._host_bytes[group] * (starting + 1)
        if host_bytes > USABLE * self._free_bytes():
            return False
        if self._limit_bytes and self._host_bytes[group] * (live + 1) > self._limit_bytes:
            return False
        free = self._device_free_bytes
        return free is None or self._on_device_bytes(group) * (starting + 1) <= USABLE * free

    def held(self, group: str) -> str:
        """The most that a worker of a group turned out to hold, in words."""
        host = f"{in_mib(self._host_bytes.get(group, 0))}"
        if not self._on_gpu:
            return f"{host} the largest"
        return (
            f"{host} of the host's and {in_mib(self._on_device_bytes(group))} of the "
            f"device's the largest, {in_mib(self._context_bytes or 0)} of them its context"
        )

    def _on_device_bytes(self, group: str) -> int:
        return self._device_bytes.get(group, 0) + (self._context_bytes or 0)

    def claims_kill(self) -> bool:
        """Whether the system has killed one process more for want of memory than were claimed.

        It often kills several at a time, and each is found dead at another: a call claims one.
        """
        is_left = out_of_memory_kills() > self._claimed
        self._claimed += is_left
        return is_left


def free_host_bytes() -> int:
    """Memory that processes may still take, of the machine's and of our control groups'."""
    free = int(psutil.virtual_memory().available)
    left = cgroup.left_bytes()
    return free if left is None else min(free, left)


def out_of_memory_kills() -> int:
    """Processes that the system has killed for want of memory, here since it started."""
    found = re.search(r"^oom_kill (\d+)$", text(_VMSTAT) or "", re.MULTILINE)
    return int(found[1]) if found else 0
