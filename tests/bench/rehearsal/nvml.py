"""NVML of the cards that are played: the made-up ones, which take power as time goes by."""

import time
from types import SimpleNamespace
from typing import Any

import psutil

from tests.bench.fake_nvml import FakeNvml

POWER_W = 300.0
OWN_BYTES = 2**28  # of each worker


class PlayedNvml(FakeNvml):
    """Cards whose energy counters run, and that list our workers."""

    def _DeviceGetTotalEnergyConsumption(self, card: int) -> int:
        return super()._DeviceGetTotalEnergyConsumption(card) + int(time.time() * POWER_W * 1e3)

    def _listed(self, card: Any, kind: str) -> list[Any]:
        own = workers() if kind == "Compute" else []
        ours = [SimpleNamespace(pid=one.pid, usedGpuMemory=OWN_BYTES) for one in own]
        return [*super()._listed(card, kind), *ours]

    def _DeviceGetMemoryInfo(self, card: Any, version: int) -> Any:
        found = super()._DeviceGetMemoryInfo(card, version)
        found.used += OWN_BYTES * len(workers())
        return found


def workers() -> list[psutil.Process]:
    """What our fork servers have forked; they themselves hold nothing of a card."""
    return [worker for server in psutil.Process().children() for worker in server.children()]


def load() -> Any:
    """It, ready to be asked."""
    return PlayedNvml()
