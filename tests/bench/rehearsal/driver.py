"""CUDA's driver, as far as bench/machine/driver.py asks it."""

from typing import Any
from uuid import UUID

from tests.bench.rehearsal import NAME, devices

SUCCESS, INVALID_DEVICE = 0, 101  # of CUresult


class Driver:
    """What ``ctypes`` would make of libcuda; arguments by reference have the value in ``_obj``."""

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
        found = _identity(device).pci_bus_id.encode()
        assert len(found) < length
        text.value = found
        return SUCCESS

    def cuDeviceGetName(self, text: Any, length: int, device: Any) -> int:
        del device
        assert len(NAME) < length
        text.value = NAME.encode()
        return SUCCESS


def _identity(device: Any) -> Any:
    from tests.bench.fake_nvml import IDENTITIES  # which wants the module that this one is part of

    return IDENTITIES[device.value]
