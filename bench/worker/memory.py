"""Peak memory of a worker, measured with the tools that its device provides."""

import ctypes
import gc
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


NO_MEMORY = DeviceMemory(allocated_bytes=0, reserved_bytes=0)


def in_use(device: torch.device) -> DeviceMemory:
    """Return the device memory of this process, after freeing unused memory; zero on a CPU."""
    if device.type != "cuda":
        return NO_MEMORY
    torch.cuda.empty_cache()
    return DeviceMemory(torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device))


def reset_peak(device: torch.device) -> int | None:
    """Reset the peaks, mainly because of compilation, and return the resident set now, in bytes.

    Returns None if the system does not allow a reset of the resident set's peak. Unused memory is
    returned to the system first: an allocator that kept it would carry an old peak over.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # only in glibc
        libc.malloc_trim(0)
    return resident.now_bytes() if resident.reset_peak() else None


def footprint(before_bytes: int, device: torch.device) -> dict[str, int]:
    """Return the memory that this process alone needs, in bytes, and on CUDA the free memory.

    ``before_bytes`` is the resident set before the network was built. Pages shared with the process
    that this one was forked from do not count until they are written to. Nor do the files of CUDA's
    libraries, half a gigabyte, which all workers map and which a resident set includes.
    """
    sizes = {"host_bytes": psutil.Process().memory_full_info().uss}
    if device.type == "cpu":
        sizes["host_bytes"] = max(sizes["host_bytes"], resident.peak_bytes() - before_bytes)
    else:
        sizes["device_bytes"] = torch.cuda.max_memory_reserved(device)
        sizes["device_reserved_bytes"] = torch.cuda.memory_reserved(device)
        sizes["device_free_bytes"] = torch.cuda.mem_get_info(device)[0]
    return sizes


def weights_bytes(model: nn.Module) -> int:
    """Return the size of a network's parameters and buffers, in bytes."""
    tensors = (*model.parameters(), *model.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peaks(device: torch.device, apparatus: DeviceMemory = NO_MEMORY) -> dict[str, int]:
    """Return the peaks since ``reset_peak``, in bytes.

    These are the peak of the resident set, and on CUDA also the allocator's allocated and reserved
    peaks. The peak of the resident set counts from the start of the program if it could not be
    reset. ``apparatus`` is memory that the measurement itself used throughout; it is subtracted.
    """
    sizes = {"peak_resident_bytes": resident.peak_bytes()}
    if device.type == "cuda":
        allocated = torch.cuda.max_memory_allocated(device)
        reserved = torch.cuda.max_memory_reserved(device)
        sizes["peak_allocated_bytes"] = allocated - apparatus.allocated_bytes
        sizes["peak_reserved_bytes"] = reserved - apparatus.reserved_bytes
    return sizes
