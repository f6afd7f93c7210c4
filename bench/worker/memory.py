"""Peak memory of a worker, measured with the tools that its device provides."""

import ctypes
import gc
from dataclasses import dataclass
from typing import NamedTuple

import psutil
import torch
from torch import nn

from bench.machine import resident


class DeviceMemory(NamedTuple):
    """GPU memory in bytes: allocated to tensors, and reserved by the allocator."""

    allocated_bytes: int
    reserved_bytes: int

    def increase_over(self, before: "DeviceMemory") -> "DeviceMemory":
        """Return the increase since ``before``."""
        return DeviceMemory(
            self.allocated_bytes - before.allocated_bytes,
            self.reserved_bytes - before.reserved_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Memory that a process alone needs, in bytes; on a CPU the sizes of the device are None."""

    host_bytes: int
    device_bytes: int | None = None
    device_reserved_bytes: int | None = None
    device_free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """Peaks of the resident set and of a GPU's allocator, in bytes; None on a CPU."""

    resident_bytes: int
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None


NO_MEMORY = DeviceMemory(allocated_bytes=0, reserved_bytes=0)


def in_use(device: torch.device) -> DeviceMemory:
    """Return the device memory of this process, after freeing unused memory; zero on a CPU."""
    if device.type != "cuda":
        return NO_MEMORY
    torch.cuda.empty_cache()
    return DeviceMemory(torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device))


def trim() -> None:
    """Return unused memory to the system."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # only in glibc
        libc.malloc_trim(0)


def reset_peak(device: torch.device) -> int | None:
    """Reset the peaks, mainly because of compilation, and return the resident set now, in bytes.

    Returns None if the system does not allow a reset of the resident set's peak. Unused memory is
    returned to the system first: an allocator that kept it would carry an old peak over.
    """
    trim()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    return resident.now_bytes() if resident.reset_peak() else None


def footprint(before_bytes: int, device: torch.device) -> Footprint:
    """Return the memory that this process alone needs, in bytes, and on CUDA the free memory.

    ``before_bytes`` is the resident set before the network was built. Pages shared with the process
    that this one was forked from do not count until they are written to. Nor do the files of CUDA's
    libraries, half a gigabyte, which all workers map and which a resident set includes.
    """
    unique_bytes = psutil.Process().memory_full_info().uss
    if device.type == "cpu":
        return Footprint(host_bytes=max(unique_bytes, resident.peak_bytes() - before_bytes))
    return Footprint(
        host_bytes=unique_bytes,
        device_bytes=torch.cuda.max_memory_reserved(device),
        device_reserved_bytes=torch.cuda.memory_reserved(device),
        device_free_bytes=torch.cuda.mem_get_info(device)[0],
    )


def weights_bytes(model: nn.Module) -> int:
    """Return the size of a network's parameters and buffers, in bytes."""
    tensors = (*model.parameters(), *model.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peaks(device: torch.device, apparatus: DeviceMemory = NO_MEMORY) -> Peaks:
    """Return the peaks since ``reset_peak``, in bytes.

    These are the peak of the resident set, and on CUDA also the allocator's allocated and reserved
    peaks. The peak of the resident set counts from the start of the program if it could not be
    reset. ``apparatus`` is memory that the measurement itself used throughout; it is subtracted.
    """
    if device.type != "cuda":
        return Peaks(resident_bytes=resident.peak_bytes())
    return Peaks(
        resident_bytes=resident.peak_bytes(),
        allocated_bytes=torch.cuda.max_memory_allocated(device) - apparatus.allocated_bytes,
        reserved_bytes=torch.cuda.max_memory_reserved(device) - apparatus.reserved_bytes,
    )
