"""Peak memory of a worker, by the instrument that its device has."""

import contextlib
import ctypes
import gc
import re
import resource
import sys
from pathlib import Path

import psutil
import torch
from torch import nn

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # man 5 proc: resets the peak resident set to the current one


def resident_bytes() -> int:
    """The resident set now; where the system does not tell, its peak."""
    return _status("VmRSS") or _max_rss()


def reset_peak(device: torch.device) -> int:
    """Forget earlier peaks, compilation's above all; the resident set at rest, in bytes.

    What is free goes back first: an allocator that keeps it would make an old peak today's.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's own
        libc.malloc_trim(0)
    with contextlib.suppress(OSError):  # no such file but on Linux; read-only in some containers
        _CLEAR_REFS.write_text(_RESET_PEAK)
    return resident_bytes()


def holds(before_bytes: int, device: torch.device) -> dict[str, int]:
    """What this process holds by itself, in bytes, and on CUDA what its device has left.

    ``before_bytes`` is the resident set before it built anything. What it shares with the process
    that it was forked from is not its own, until it writes to it.
    """
    own = psutil.Process().memory_full_info().uss
    held = {"host_bytes": max(own, (_status("VmHWM") or 0) - before_bytes)}
    if device.type == "cuda":
        held["device_bytes"] = torch.cuda.max_memory_reserved(device)
        held["device_free_bytes"] = torch.cuda.mem_get_info(device)[0]
    return held


def of_weights(model: nn.Module) -> int:
    """Bytes of a network's parameters and buffers."""
    tensors = (*model.parameters(), *model.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peaks(device: torch.device) -> dict[str, int]:
    """Peaks since ``reset_peak``, in bytes: resident set, and on CUDA the allocator's two."""
    found = {"peak_resident_bytes": _status("VmHWM") or _max_rss()}
    if device.type == "cuda":
        found["peak_allocated_bytes"] = torch.cuda.max_memory_allocated(device)
        found["peak_reserved_bytes"] = torch.cuda.max_memory_reserved(device)
    return found


def _status(field: str) -> int | None:
    """A field of Linux's process status, in bytes."""
    if not _STATUS.exists():
        return None
    match = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _max_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts KiB but for macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
