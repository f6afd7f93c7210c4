"""The memory budget: how many workers fit into memory, and how many cores prepare them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil

from bench.machine import cgroup
from bench.machine.cores import physical_cores
from bench.machine.system_files import text
from bench.units import in_mib

# Share of free memory to use; the rest is for unexpected needs.
USABLE = 0.9
_VMSTAT = Path("/proc/vmstat")


class WorkerMemory(Protocol):
    """Memory of a worker in bytes; on a CPU the sizes of the device are None."""

    @property
    def host_bytes(self) -> int:
        """Host memory that only this process needs."""
        ...

    @property
    def device_bytes(self) -> int | None:
        """Peak of the memory that the allocator reserved on the device."""
        ...

    @property
    def device_reserved_bytes(self) -> int | None:
        """What the allocator reserves on the device now."""
        ...

    @property
    def device_free_bytes(self) -> int | None:
        """What is free on the device now."""
        ...


class MemoryBudget:
    """Decides whether memory holds one more worker, from the memory of the first ones."""

    def __init__(
        self,
        *,
        limit_bytes: int | None = None,
        free_bytes: "Callable[[], int] | None" = None,
        cores: int | None = None,
        on_gpu: bool = False,
    ) -> None:
        """``on_gpu``: whether workers use a GPU's memory in addition to the host's."""
        self.cores = cores or physical_cores()
        self._limit_bytes = limit_bytes
        self._free_bytes = free_bytes or free_host_bytes
        self._host_bytes: dict[str, int] = {}
        self._device_bytes: dict[str, int] = {}
        self._device_free_bytes: int | None = None
        self._on_gpu = on_gpu
        self._context_bytes: int | None = None
        self._claimed = out_of_memory_kills()
        self._exceeded: set[str] = set()

    @property
    def wants_one_at_a_time(self) -> bool:
        """Whether workers must start one by one, to measure how much device memory each takes."""
        return self._on_gpu and self._context_bytes is None

    def learn(self, group: str, footprint: WorkerMemory, *, alone: bool = False) -> None:
        """Record the memory of a worker of a group, and the free memory of its device.

        ``alone``: whether only this worker has changed the device's free memory since the previous
        call. The decrease that the allocator does not account for is then the worker's context:
        CUDA's own memory, loaded kernels and workspaces of libraries.
        """
        before, free = self._device_free_bytes, footprint.device_free_bytes
        if alone and before is not None and free is not None:
            outside = before - free - (footprint.device_reserved_bytes or 0)
            self._context_bytes = max(self._context_bytes or 0, outside)
        for largest, size in (
            (self._host_bytes, footprint.host_bytes),
            (self._device_bytes, footprint.device_bytes or 0),
        ):
            largest[group] = max(largest.get(group, 0), size)
        self._device_free_bytes = free

    def holds_another(self, group: str, *, live: int, starting: int) -> bool:
        """Whether one more worker fits beside ``live`` ones, of which ``starting`` still grow."""
        if group not in self._host_bytes:
            return starting == 0  # the first of a group is measured before others start
        host_bytes = self._host_bytes[group] * (starting + 1)
        if host_bytes > USABLE * self._free_bytes():
            return False
        if self._limit_bytes and self._host_bytes[group] * (live + 1) > self._limit_bytes:
            return False
        free = self._device_free_bytes
        return free is None or self._on_device_bytes(group) * (starting + 1) <= USABLE * free

    def largest_use(self, group: str) -> str:
        """Return the largest memory use of a group's workers, in words."""
        host = f"{in_mib(self._host_bytes.get(group, 0))}"
        if not self._on_gpu:
            return f"the largest used {host}"
        return (
            f"the largest used {host} of the host and {in_mib(self._on_device_bytes(group))} of "
            f"the device, {in_mib(self._context_bytes or 0)} of it for its context"
        )

    def excess(self, group: str, held_bytes: int) -> str:
        """Return, once per group, how much more than the limit its workers hold, as a sentence.

        Empty if they hold at most the limit.
        """
        limit_bytes = self._limit_bytes
        if limit_bytes is None or held_bytes <= limit_bytes or group in self._exceeded:
            return ""
        self._exceeded.add(group)
        return (
            f"{group}: workers alive together held {in_mib(held_bytes)}, which is more than the "
            f"{in_mib(limit_bytes)} of --memory; at minimum, a cell, its reference and the control "
            "are alive together."
        )

    def _on_device_bytes(self, group: str) -> int:
        return self._device_bytes.get(group, 0) + (self._context_bytes or 0)

    def claims_kill(self) -> bool:
        """Whether the system has killed more processes for lack of memory than were claimed.

        Each call claims one: the system often kills several, which are found dead one by one.
        """
        is_left = out_of_memory_kills() > self._claimed
        self._claimed += is_left
        return is_left


def free_host_bytes() -> int:
    """Return the free memory of the machine or of our control groups, whichever is less."""
    free = int(psutil.virtual_memory().available)
    left = cgroup.left_bytes()
    return free if left is None else min(free, left)


def out_of_memory_kills() -> int:
    """Return how many processes the system has killed for lack of memory since it started."""
    match = re.search(r"^oom_kill (\d+)$", text(_VMSTAT) or "", re.MULTILINE)
    return int(match[1]) if match else 0
