"""CUDA's driver: which devices it shows, and which cards they are; asked without importing torch.

None of it makes a context, so that a process that asks may go on to fork.
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from bench.machine.system_files import text

_SUCCESS = 0  # of CUresult, and of nvmlReturn_t


class Identity(NamedTuple):
    """Which card a device is, whatever it is counted by."""

    uuid: str
    """Of the card; of its instance where MIG has divided it."""
    pci_bus_id: str


def devices() -> int:
    """How many devices there are; 0 without a driver."""
    driver, count = _library(), ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS:
        return 0
    return count.value


def identity(index: int) -> Identity | None:
    """Which card CUDA calls ``index``, as CUDA_VISIBLE_DEVICES has it; None where it won't say."""
    driver = _library()
    device = None if driver is None else _device(driver, index)
    if driver is None or device is None:
        return None
    uuid, bus_id = (ctypes.c_ubyte * 16)(), ctypes.create_string_buffer(32)
    # Version 2 (CUDA 11.4) tells instances of MIG from each other.
    if (
        driver.cuDeviceGetUuid_v2(ctypes.byref(uuid), device) != _SUCCESS
        or driver.cuDeviceGetPCIBusId(bus_id, len(bus_id), device) != _SUCCESS
    ):
        return None
    return Identity(uuid=str(UUID(bytes=bytes(uuid))), pci_bus_id=bus_id.value.decode())


def names() -> tuple[str, ...]:
    """The model of each device, ``unknown`` where it won't say."""
    driver = _library()
    return () if driver is None else tuple(_name(driver, index) for index in range(devices()))


def is_counted_untouched(variables: Mapping[str, str]) -> bool:
    """Whether PyTorch can count the devices without CUDA, so that a process may go on to fork.

    It asks NVML, in the environment that is ours for workers, and CUDA where NVML does not answer
    or devices are parts of cards (as torch.cuda._device_count_nvml has it).
    """
    return not variables.get("CUDA_VISIBLE_DEVICES", "").startswith("MIG-") and _nvml_answers()


def version() -> str:
    """The driver's version as its kernel module states it."""
    return text(Path("/sys/module/nvidia/version")) or "unknown"


def _library() -> Any:
    """The driver, ready to be asked; None where there is none."""
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
