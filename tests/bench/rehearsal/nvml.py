"""A fake NVML for the simulated GPUs: the cards of ``FakeNvml``, at constant power."""

import time
from types import SimpleNamespace
from typing import Any

import psutil

from tests.bench.fake_nvml import FakeNvml

POWER_W = 300.0
OWN_BYTES = 2**28  # memory of each worker


class SimulatedNvml(FakeNvml):
    """Cards whose energy counters increase, and that list the workers of this process."""

    def _DeviceGetTotalEnergyConsumption(self, card: int) -> int:
        return super()._DeviceGetTotalEnergyConsumption(card) + int(time.time() * POWER_W * 1e3)

    def _listed(self, card: Any, kind: str) -> list[Any]:
        processes = workers() if kind == "Compute" else []
        entries = [SimpleNamespace(pid=worker.pid, usedGpuMemory=OWN_BYTES) for worker in processes]
        return [*super()._listed(card, kind), *entries]

    def _DeviceGetMemoryInfo(self, card: Any, version: int) -> Any:
        memory = super()._DeviceGetMemoryInfo(card, version)
        memory.used += OWN_BYTES * len(workers())
        return memory


def workers() -> list[psutil.Process]:
    """Return the processes forked by this process's fork servers, which use no GPU themselves."""
    return [worker for server in psutil.Process().children() for worker in server.children()]


def load() -> Any:
    """Return the fake NVML."""
    return SimulatedNvml()
