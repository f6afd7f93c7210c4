"""A fake of the CUDA driver functions that bench/machine/driver.py calls."""

from typing import Any
from uuid import UUID

from tests.bench.rehearsal import NAME, devices

SUCCESS, INVALID_DEVICE = 0, 101  # values of CUresult


class Driver:
    """A fake of libcuda as ``ctypes`` loads it; arguments by reference have ``_obj``."""

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = devices()
        return SUCCESS

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return SUCCESS if index < devices() else INVALID_DEVICE

    def cuDeviceGetUuid_v2(self, uuid: Any, device: Any) -> int:
        uuid._obj[:] = UUID(_identity(device).uuid).bytes
        return SUCCESS

    def cuDeviceGetPCIBusId(self, text: Any, length: int, device: Any) -> int:
        bus_id = _identity(device).pci_bus_id.encode()
        assert len(bus_id) < length
        text.value = bus_id
        return SUCCESS

    def cuDeviceGetName(self, text: Any, length: int, device: Any) -> int:
        del device
        assert len(NAME) < length
        text.value = NAME.encode()
        return SUCCESS


def _identity(device: Any) -> Any:
    from tests.bench.fake_nvml import (
        IDENTITIES,
    )  # imports bench.machine.driver, which uses this module

    return IDENTITIES[device.value]
