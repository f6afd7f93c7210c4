"""Capture of the operators that a network runs, with ``torch.export``."""

from typing import TYPE_CHECKING

from bench.error_text import one_line
from bench.errors import RequestError

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from bench.archs.source import Inputs

IMPORTS = ("bench.worker.preload",)
"""Modules that the first capture of a process imports."""


def exported_program(
    module: "nn.Module", example: "Inputs", needed_by: str, advice: str
) -> "ExportedProgram":
    """Return the operators of a forward pass on ``example``, without gradients.

    Raises ``RequestError`` if ``torch.export`` cannot capture them, for example because the network
    branches on values of its input; the message names ``needed_by`` and ends with ``advice``.
    """
    import torch

    try:
        with torch.no_grad():
            return torch.export.export(module, example, strict=False)
    except MemoryError:
        raise
    except Exception as error:  # a network's own code, or any part of torch.export
        raise RequestError(
            f"{needed_by} needs torch.export, which cannot capture this network "
            f"({one_line(error)}): {advice}"
        ) from error


def needed_by(rewrite: str) -> tuple[str, str]:
    """Return the last two arguments of ``exported_program`` for a rewrite."""
    return f"the rewrite {rewrite}", f"choose a mode without {rewrite}"
