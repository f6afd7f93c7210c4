"""The operators that a network runs, as ``torch.export`` captures them, for rewrites to read."""

from typing import TYPE_CHECKING

from bench.errors import one_line
from bench.names import RequestError

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from bench.archs.source import Inputs

IMPORTS = ("bench.worker.preload",)
"""Modules that the first capture of a process imports."""


def capture(module: "nn.Module", example: "Inputs", rewrite: str) -> "ExportedProgram":
    """Return the operators of a forward pass on ``example``; ``rewrite`` is named in errors.

    Raises ``RequestError`` if ``torch.export`` cannot capture them, for example because the network
    branches on values of its input.
    """
    import torch

    try:
        with torch.no_grad():
            return torch.export.export(module, example, strict=False)
    except Exception as error:  # a network's own code, or any part of torch.export
        raise RequestError(
            f"the rewrite {rewrite} needs torch.export, which cannot capture this network "
            f"({one_line(error)}): choose a mode without {rewrite}"
        ) from error
