"""Out-of-memory messages: recognises them and restates their sizes in MiB. Pure functions."""

import re

from bench.error_text import first_line
from bench.units import GIB, MIB, in_mib

SIGNS = (
    "CUDA out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    # Not from PyTorch's allocator, but from the driver and from libraries that allocate workspaces.
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Text that identifies out-of-memory errors of any exception type (torch 2.11 to 2.15)."""

_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": MIB, "GiB": GIB}
_SIZE = rf"(\d+(?:\.\d+)?) ({'|'.join(_UNITS)})"
_REQUESTED = (rf"[Tt]ried to allocate {_SIZE}", rf"Requested size: {_SIZE}")
_TOTAL = rf"total capacity of {_SIZE}"
_FREE = rf"of which {_SIZE} is free"
_USED = rf"this process has {_SIZE} memory in use"


def matches(message: str) -> bool:
    """Return whether an error's message says that memory ran out."""
    return any(sign in message for sign in SIGNS)


def sentence(
    message: str, *, free_bytes: int | None = None, total_bytes: int | None = None
) -> str | None:
    """Return a sentence with the requested, free and total memory.

    Returns None if the message does not contain the requested size. ``free_bytes`` and
    ``total_bytes`` are used for sizes that the message does not contain.
    """
    requested = next(filter(None, (_bytes(pattern, message) for pattern in _REQUESTED)), None)
    if requested is None:
        return None
    parts = [f"out of memory: tried to allocate {in_mib(requested)}"]
    free = _bytes(_FREE, message)
    free = free_bytes if free is None else free
    total = _bytes(_TOTAL, message) or total_bytes
    if free is not None:
        parts.append(
            f"{in_mib(free)} were free" + (f" ({in_mib(total)} in total)" if total else "")
        )
    if used := _bytes(_USED, message):
        parts.append(f"this worker used {in_mib(used)}")
    return "; ".join(parts)


def library_sentence(message: str, free_bytes: int, total_bytes: int) -> str:
    """Return a sentence with the message of a library, which has no sizes, and the free memory."""
    free, total = in_mib(free_bytes), in_mib(total_bytes)
    return f"out of memory: {first_line(message)}; {free} were free ({total} in total)"


def _bytes(pattern: str, message: str) -> float | None:
    match = re.search(pattern, message)
    return float(match[1]) * _UNITS[match[2]] if match else None
