"""The conditions in which an executor prepares a network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from bench.archs.source import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorRequest:
    """The conditions in which a network will run."""

    example: "Inputs"
    """The positional arguments of a forward pass as iterations will have them, on the device:
    usually one tensor of images, N × 3 × H × W."""
    dtype: "torch.dtype"
    device: "torch.device"
    threads: int
    """CPU threads that iterations may use."""
    options: frozenset[str] = frozenset()
    """Names of the options of the mode, all of which the executor takes."""
    was_compiled: bool = False
    """Whether the same cell was compiled before; a cache on disk, if any, has its code."""
    is_profiled: bool = False
    """Whether ``Program.operators`` will be called, so that what it needs must be kept."""
