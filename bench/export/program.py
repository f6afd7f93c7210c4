"""The program that runs an exported file, as a user writes it: lines of Python."""

from pathlib import Path

import torch
from torch import Tensor

from bench.best.program import precision
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.modes import Mode
from bench.executors.executor import Executor
from bench.executors.file_format import FileFormat
from bench.executors.option import Option
from bench.executors.request import ExecutorRequest


def complete(cell: Cell, form: FileFormat, request: ExecutorRequest, path: Path) -> str:
    """Return the complete program for a file, with random inputs."""
    example = ", ".join(_drawn(tensor, form) for tensor in request.example)
    library = "import numpy as np" if form.takes_arrays else "import torch"
    return (
        f"{library}\n\npath = {str(path)!r}\n"
        f"# Random inputs: put yours here.\nexample = ({example},)\n\n"
        f"{lines(cell, form, request)}"
    )


def lines(cell: Cell, form: FileFormat, request: ExecutorRequest) -> str:
    """Return the lines that load and run a file: they read ``path`` and ``example``.

    They define ``output``, and need torch to be imported, unless they take arrays.
    """
    parts = [form.code(request)]
    if form.takes_arrays:
        return "\n\n".join([*parts, "output = run(*example)\n"])
    parts = [*precision(DTYPES[cell.dtype], cell.device), *parts]
    if form.loads_module:
        tokens = making_ready(modes.parse(cell.mode))
        parts += [f"# {token.name}\n{token.code}" for token in tokens]
    return "\n".join([*parts, "with torch.inference_mode():\n    output = run(*example)\n"])


def making_ready(mode: Mode) -> tuple[Option | Executor, ...]:
    """Return the tokens whose ``code`` makes a loaded module ready, in the order of their lines."""
    return (*mode.options, mode.executor)


def _tensor(tensor: Tensor) -> str:
    """Return an expression for a tensor of this shape, dtype, device and memory format."""
    shape = ", ".join(map(str, tensor.shape))
    function = "randn" if tensor.is_floating_point() else "zeros"
    dtype = "" if tensor.dtype is torch.float32 else f", dtype={tensor.dtype}"
    device = "" if tensor.device.type == "cpu" else f", device={str(tensor.device)!r}"
    last = torch.channels_last
    is_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=last)
    arranged = is_last and not tensor.is_contiguous()
    order = ".contiguous(memory_format=torch.channels_last)" if arranged else ""
    return f"torch.{function}({shape}{dtype}{device}){order}"


def _array(tensor: Tensor) -> str:
    """Return an expression for an array of a tensor's shape and dtype."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_floating_point():
        return f"np.random.randn({', '.join(map(str, tensor.shape))}).astype({dtype!r})"
    return f"np.zeros({tuple(tensor.shape)}, dtype={dtype!r})"


def _drawn(tensor: Tensor, form: FileFormat) -> str:
    return _array(tensor) if form.takes_arrays else _tensor(tensor)
