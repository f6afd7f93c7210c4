"""Export of a network with ``torch.export``, for executors that compile ahead of time."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bench.capture import exported_program
from bench.error_text import one_line
from bench.errors import RequestError
from bench.executors.file_format import FileFormat

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from bench.executors.request import ExecutorRequest


def export(module: "nn.Module", request: "ExecutorRequest", executor: str) -> "ExportedProgram":
    """Export a network for the shapes of its example inputs, without gradients.

    Raises ``RequestError`` for a network that cannot be exported; ``executor`` is named in the
    message.
    """
    return exported_program(module, request.example, executor, "choose compile or eager")


def _write(module: "nn.Module", request: "ExecutorRequest", path: Path) -> None:
    import torch

    advice = "it cannot be written to a file unless its code changes"
    program = exported_program(module, request.example, "the file", advice)
    try:
        with warnings.catch_warnings():
            # Of weights in channels_last, which are saved as they are.
            warnings.filterwarnings("ignore", "No complete tensor found in the group")
            torch.export.save(program, path)
    except Exception as error:
        raise RequestError(
            f"this network cannot be saved, because torch.export fails with {one_line(error)}"
        ) from error


def _code(_request: "ExecutorRequest") -> str:
    return "model = torch.export.load(path).module()\n"


PROGRAM = FileFormat(
    what="a program of torch.export",
    suffix=".pt2",
    write=_write,
    code=_code,
    loads_module=True,
)
"""For executors that run PyTorch's modules; what they compile is compiled again at load."""
