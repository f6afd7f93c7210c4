"""CUDA's driver: the devices that it shows and the cards behind them. Needs no torch.

Nothing here creates a CUDA context, so the calling process may fork afterwards.
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from bench.machine.system_files import text

_SUCCESS = 0  # in CUresult and in nvmlReturn_t


class Identity(NamedTuple):
    """The card of a device, independent of device numbers."""

    uuid: str
    """UUID of the card; of the instance if the card is divided by MIG."""
    pci_bus_id: str


def devices() -> int:
    """Return the number of devices; 0 without a driver."""
    driver, count = _library(), ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS:
        return 0
    return count.value


def identity(index: int) -> Identity | None:
    """Return the card that CUDA numbers ``index`` under CUDA_VISIBLE_DEVICES; None if unknown."""
    driver = _library()
    device = None if driver is None else _device(driver, index)
    if driver is None or device is None:
        return None
    uuid, bus_id = (ctypes.c_ubyte * 16)(), ctypes.create_string_buffer(32)
    # Version 2 (CUDA 11.4) distinguishes MIG instances.
    if (
        driver.cuDeviceGetUuid_v2(ctypes.byref(uuid), device) != _SUCCESS
        or driver.cuDeviceGetPCIBusId(bus_id, len(bus_id), device) != _SUCCESS
    ):
        return None
    return Identity(uuid=str(UUID(bytes=bytes(uuid))), pci_bus_id=bus_id.value.decode())


def names() -> tuple[str, ...]:
    """Return the model of each device, or ``unknown``."""
    driver = _library()
    return () if driver is None else tuple(_name(driver, index) for index in range(devices()))


def can_count_without_cuda(variables: Mapping[str, str]) -> bool:
    """Whether PyTorch can count the devices without CUDA, so that the process may fork afterwards.

    In the environment of our workers PyTorch asks NVML. It asks CUDA if NVML does not work, or if
    devices are parts of cards (see torch.cuda._device_count_nvml).
    """
    return not variables.get("CUDA_VISIBLE_DEVICES", "").startswith("MIG-") and _nvml_answers()


def version() -> str:
    """Return the driver's version from its kernel module, or ``unknown``."""
    return text(Path("/sys/module/nvidia/version")) or "unknown"


def _library() -> Any:
    """Return the initialised driver; None if there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return driver if driver.cuInit(0) == _SUCCESS else None


def _nvml_answers() -> bool:
    try:
        return bool(ctypes.CDLL("libnvidia-ml.so.1").nvmlInit() == _SUCCESS)
    except OSError:
        return False


def _device(driver: Any, index: int) -> ctypes.c_int | None:
    device = ctypes.c_int(0)
    return device if driver.cuDeviceGet(ctypes.byref(device), index) == _SUCCESS else None


def _name(driver: Any, index: int) -> str:
    name, device = ctypes.create_string_buffer(256), _device(driver, index)
    if device is None or driver.cuDeviceGetName(name, len(name), device) != _SUCCESS:
        return "unknown"
    return name.value.decode(errors="replace")
