"""Export of a network with ``torch.export``, for executors that compile ahead of time."""

from typing import TYPE_CHECKING

from bench.errors import one_line
from bench.names import RequestError

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from bench.executors.executor import ExecutorRequest


def export(module: "nn.Module", request: "ExecutorRequest", executor: str) -> "ExportedProgram":
    """Export a network for the shapes of its example inputs, without gradients.

    Raises ``RequestError`` for a network that cannot be exported; ``executor`` is named in the
    message.
    """
    import torch

    try:
        with torch.no_grad():
            return torch.export.export(module, request.example)
    except Exception as error:
        raise RequestError(
            f"{executor} cannot run this network, because torch.export fails with "
            f"{one_line(error)}; choose compile or eager"
        ) from error
