"""A shortage: what an allocator said when it ran out of memory, in sizes that compare. Pure."""

import re

from bench.errors import first_line
from bench.units import GIB, MIB, in_mib

SIGNS = (
    "CUDA out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    # Of what allocates beside PyTorch's allocator: the driver, and the libraries' workspaces.
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What the messages of such errors have in them, whatever their type (torch 2.11 to 2.15)."""

_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": MIB, "GiB": GIB}
_SIZE = rf"(\d+(?:\.\d+)?) ({'|'.join(_UNITS)})"
_ASKED = (rf"[Tt]ried to allocate {_SIZE}", rf"Requested size: {_SIZE}")
_TOTAL = rf"total capacity of {_SIZE}"
_FREE = rf"of which {_SIZE} is free"
_HELD = rf"this process has {_SIZE} memory in use"


def is_one(message: str) -> bool:
    """Whether an error's message tells of a shortage of memory."""
    return any(sign in message for sign in SIGNS)


def sentence(
    message: str, *, free_bytes: int | None = None, total_bytes: int | None = None
) -> str | None:
    """What was asked for, and what was free of how much; None where the message does not tell.

    ``free_bytes`` and ``total_bytes`` stand in for what it leaves out.
    """
    asked = next(filter(None, (_bytes(pattern, message) for pattern in _ASKED)), None)
    if asked is None:
        return None
    told = [f"out of memory: {in_mib(asked)} more were asked for"]
    free = _bytes(_FREE, message)
    free = free_bytes if free is None else free
    total = _bytes(_TOTAL, message) or total_bytes
    if free is not None:
        told.append(f"{in_mib(free)} were free" + (f" of {in_mib(total)}" if total else ""))
    if held := _bytes(_HELD, message):
        told.append(f"this worker held {in_mib(held)}")
    return ", ".join(told)


def beside(message: str, free_bytes: int, total_bytes: int) -> str:
    """What a library beside PyTorch's allocator says, which tells no size, and what was free."""
    free, total = in_mib(free_bytes), in_mib(total_bytes)
    return f"out of memory: {first_line(message)}; {free} were free of {total}"


def _bytes(pattern: str, message: str) -> float | None:
    found = re.search(pattern, message)
    return float(found[1]) * _UNITS[found[2]] if found else None
