"""A fake pynvml: replies as NVML's manual describes, with data from a file written by hand.

Errors and structures are pynvml's own, so that the code under test reads the same as from a driver.
"""

# ruff: noqa: N802 - NVML's own names

import copy
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml

from bench.machine.driver import Identity

NVML_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("nvml_cards.json").read_text())
UUIDS = [card["uuid"] for card in NVML_DATA["cards"]]
IDENTITIES = [
    Identity(uuid=card["uuid"].removeprefix("GPU-"), pci_bus_id=card["bus_id"])
    for card in NVML_DATA["cards"]
]
NAMES = {4242: "/usr/bin/python3 train.py --token secret", 99: "nvidia-cuda-mps-server"}


class FakeNvml:
    """The part of pynvml that the code uses; ``unsupported`` names functions that a card lacks."""

    NVMLError = pynvml.NVMLError
    NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_CLOCK_MEM = pynvml.NVML_CLOCK_MEM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    nvmlMemory_v2 = pynvml.nvmlMemory_v2  # noqa: N815 - pynvml's own name

    def __init__(
        self, unsupported: Collection[str] = (), driver: str = NVML_DATA["driver"]
    ) -> None:
        self.cards: list[dict[str, Any]] = copy.deepcopy(NVML_DATA["cards"])
        self.instances: dict[str, int] = {}
        """MIG instances: UUID to the index of the card."""
        self.unsupported = set(unsupported)
        self.driver = driver
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            raise AttributeError(name)
        answer = getattr(type(self), f"_{name.removeprefix('nvml')}")

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.unsupported:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return answer(self, *arguments)

        return call

    def _Init(self) -> None:
        assert self.calls == ["nvmlInit"]  # it must be the first call

    def _handle(self, name: str, value: str) -> Any:
        for index, card in enumerate(self.cards):
            if card[name] == value:
                return index
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def _DeviceGetHandleByUUID(self, uuid: str) -> Any:
        return uuid if uuid in self.instances else self._handle("uuid", uuid)

    def _DeviceGetDeviceHandleFromMigDeviceHandle(self, part: str) -> int:
        return self.instances[part]

    def _DeviceGetHandleByPciBusId(self, bus_id: str) -> Any:
        return self._handle("bus_id", bus_id)

    def _SystemGetDriverVersion(self) -> str:
        return self.driver

    def _SystemGetProcessName(self, pid: int) -> str:
        if pid not in NAMES:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return NAMES[pid]

    def _DeviceGetUUID(self, card: int) -> str:
        return str(self.cards[card]["uuid"])

    def _DeviceGetComputeMode(self, card: int) -> int:
        return int(self.cards[card]["compute_mode"])

    def _DeviceGetMigMode(self, card: int) -> list[int]:
        return list(self.cards[card]["mig"])

    def _DeviceGetPersistenceMode(self, card: int) -> int:
        return int(self.cards[card]["persistence"])

    def _DeviceGetEnforcedPowerLimit(self, card: int) -> int:
        return int(self.cards[card]["power_limit_mw"])

    def _DeviceGetPowerUsage(self, card: int) -> int:
        return int(self.cards[card]["power_mw"])

    def _DeviceGetTotalEnergyConsumption(self, card: int) -> int:
        return int(self.cards[card]["energy_mj"])

    def _DeviceGetClockInfo(self, card: int, clock: int) -> int:
        return int(self.cards[card]["clocks_mhz"][str(clock)])

    def _DeviceGetMaxClockInfo(self, card: int, clock: int) -> int:
        return int(self.cards[card]["most_clocks_mhz"][str(clock)])

    def _DeviceGetTemperature(self, card: int, sensor: int) -> int:
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return int(self.cards[card]["temperature_c"])

    _DeviceGetTemperatureV = _DeviceGetTemperature

    def _DeviceGetCurrentClocksEventReasons(self, card: int) -> int:
        return int(self.cards[card]["reasons"])

    _DeviceGetCurrentClocksThrottleReasons = _DeviceGetCurrentClocksEventReasons

    def _DeviceGetViolationStatus(self, card: int, policy: int) -> Any:
        return pynvml.c_nvmlViolationTime_t(
            referenceTime=0, violationTime=self.cards[card]["violations_ns"][str(policy)]
        )

    def _DeviceGetFieldValues(self, card: int, fields: list[int]) -> Any:
        values = (pynvml.c_nvmlFieldValue_t * len(fields))()
        known = self.cards[card]["fields_ns"]
        for value, field in zip(values, fields, strict=True):
            value.fieldId = field
            value.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
            if str(field) in known:
                value.nvmlReturn = pynvml.NVML_SUCCESS
                value.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
                value.value.ullVal = known[str(field)]
        return values

    def _DeviceGetMemoryInfo(self, card: Any, version: int) -> Any:
        assert version == pynvml.nvmlMemory_v2
        return pynvml.c_nvmlMemory_v2_t(**self._of(card)["memory"])

    def _DeviceGetComputeRunningProcesses(self, card: Any) -> list[Any]:
        return self._listed(card, "Compute")

    def _DeviceGetGraphicsRunningProcesses(self, card: Any) -> list[Any]:
        return self._listed(card, "Graphics")

    def _DeviceGetMPSComputeRunningProcesses(self, card: Any) -> list[Any]:
        return self._listed(card, "MPSCompute")

    def _listed(self, card: Any, kind: str) -> list[Any]:
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=used_bytes)
            for pid, used_bytes in self._of(card)["processes"][kind]
        ]

    def _of(self, card: Any) -> dict[str, Any]:
        """Return the data of a card, or of a MIG instance with its own memory and processes."""
        if isinstance(card, str):
            instance: dict[str, Any] = self.cards[self.instances[card]]["instance"]
            return instance
        return self.cards[int(card)]
