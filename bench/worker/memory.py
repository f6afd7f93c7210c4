"""Peak memory of a worker, by the instrument that its device has."""

import ctypes
import gc
from typing import NamedTuple

import psutil
import torch
from torch import nn

from bench.machine import resident


class Held(NamedTuple):
    """Bytes of a GPU's memory: that tensors take, and that the allocator keeps for them."""

    allocated_bytes: int
    reserved_bytes: int

    def beyond(self, before: "Held") -> "Held":
        """What is held more than ``before``."""
        return Held(
            self.allocated_bytes - before.allocated_bytes,
            self.reserved_bytes - before.reserved_bytes,
        )


NOTHING = Held(allocated_bytes=0, reserved_bytes=0)


def held(device: torch.device) -> Held:
    """What this process holds on a device now, what is free given back; nothing on a CPU."""
    if device.type != "cuda":
        return NOTHING
    torch.cuda.empty_cache()
    return Held(torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device))


def reset_peak(device: torch.device) -> int | None:
    """Forget earlier peaks, compilation's above all; the resident set at rest, in bytes.

    None where the system does not let the resident set's peak be forgotten. What is free goes back
    first: an allocator that keeps it would make an old peak today's.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's own
        libc.malloc_trim(0)
    return resident.now_bytes() if resident.reset_peak() else None


def holds(before_bytes: int, device: torch.device) -> dict[str, int]:
    """What this process holds by itself, in bytes, and on CUDA what its device has left.

    ``before_bytes`` is the resident set before it built anything. What it shares with the process
    that it was forked from is not its own, until it writes to it; nor are the files of CUDA's
    libraries, half a gigabyte, which all workers map and a resident set has in it.
    """
    held = {"host_bytes": psutil.Process().memory_full_info().uss}
    if device.type == "cpu":
        held["host_bytes"] = max(held["host_bytes"], resident.peak_bytes() - before_bytes)
    else:
        held["device_bytes"] = torch.cuda.max_memory_reserved(device)
        held["device_reserved_bytes"] = torch.cuda.memory_reserved(device)
        held["device_free_bytes"] = torch.cuda.mem_get_info(device)[0]
    return held


def of_weights(model: nn.Module) -> int:
    """Bytes of a network's parameters and buffers."""
    tensors = (*model.parameters(), *model.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peaks(device: torch.device, apparatus: Held = NOTHING) -> dict[str, int]:
    """Peaks since ``reset_peak``, in bytes: resident set, and on CUDA the allocator's two.

    The resident set's is since this program began where it could not be reset.
    ``apparatus`` was held all the time, for measuring, and is none of the network's.
    """
    found = {"peak_resident_bytes": resident.peak_bytes()}
    if device.type == "cuda":
        allocated = torch.cuda.max_memory_allocated(device)
        reserved = torch.cuda.max_memory_reserved(device)
        found["peak_allocated_bytes"] = allocated - apparatus.allocated_bytes
        found["peak_reserved_bytes"] = reserved - apparatus.reserved_bytes
    return found
