"""Declaration of a file format: how an executor's network is written, and read by a user."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from bench.executors.request import ExecutorRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """A format of files that contain a network and its weights."""

    what: str
    """What the file is, for example ``an ONNX model``."""
    suffix: str
    """End of the file's name, with the dot."""
    write: "Callable[[nn.Module, ExecutorRequest, Path], None]"
    """Write a network, which is as ``Executor.prepare`` gets it. Further files may be written
    beside the path. Raises ``RequestError`` for a network that cannot be written."""
    code: "Callable[[ExecutorRequest], str]"
    """Function that returns the lines of Python, with their imports, that load the file without
    this package. They read ``path`` and define ``run``, which takes a network's inputs."""
    loads_module: bool = False
    """Whether the lines define ``model``, an ``nn.Module``, instead; the ``code`` of the executor
    then makes it ready, and defines ``run``."""
    takes_arrays: bool = False
    """Whether ``run`` takes NumPy arrays and returns a list of them, so that PyTorch is not needed;
    otherwise it takes and returns tensors."""
