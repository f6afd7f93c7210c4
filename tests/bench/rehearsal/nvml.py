"""NVML of the cards that are played: the made-up ones, which take power as time goes by."""

import time
from typing import Any

from tests.bench.fake_nvml import FakeNvml

POWER_W = 300.0


class PlayedNvml(FakeNvml):
    """Cards whose energy counters run."""

    def _DeviceGetTotalEnergyConsumption(self, card: int) -> int:
        return super()._DeviceGetTotalEnergyConsumption(card) + int(time.time() * POWER_W * 1e3)


def load() -> Any:
    """It, ready to be asked."""
    return PlayedNvml()
