"""A network whose eager forward is captured as a CUDA graph and replayed with one launch.

It follows PyTorch's notes on CUDA graphs: warm up on a side stream, capture once, then copy each
batch into the static input that the graph reads. This copy is part of the timed iteration.
"""

from typing import Any

import torch
from torch import Tensor, nn

# As in torch.cuda.make_graphed_callables: libraries choose algorithms and allocate in these calls.
WARM_UP_CALLS = 3


class Captured(nn.Module):
    """An inference network that is captured at its first call; each call overwrites the output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._graph: torch.cuda.CUDAGraph | None = None
        self._images: Tensor | None = None
        self._output: Any = None

    def forward(self, images: Tensor) -> Any:
        """Replay the graph on ``images``; every call returns the same output tensors.

        Raises ``ValueError`` if shape or dtype differ from the images at the capture.
        """
        if self._graph is None or self._images is None:
            self._graph, self._images = self._capture(images)
        elif not is_like(images, self._images):
            raise ValueError(
                f"this network was captured as a CUDA graph for images {_about(self._images)}; "
                f"it cannot take images {_about(images)}"
            )
        self._images.copy_(images)
        self._graph.replay()
        return self._output

    def _capture(self, images: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        if not images.is_cuda:
            raise ValueError(f"a CUDA graph takes images on a CUDA device, not on {images.device}")
        static = images.clone()
        stream, side_stream = torch.cuda.current_stream(), torch.cuda.Stream()
        side_stream.wait_stream(stream)
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UP_CALLS):
                self.model(static)
        stream.wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        forget_workspaces()
        with torch.cuda.graph(graph):
            self._output = self.model(static)
        forget_workspaces()
        return graph, static


def forget_workspaces() -> None:
    """Free cuBLAS's workspaces: one for each stream that called it, 32 MiB each on an H100.

    PyTorch keeps them until the process ends, so those of the warm-up would count as the network's
    memory. The workspace of a capture returns to the graph's own pool, where replays use it
    (see torch/_inductor/cudagraph_trees.py).
    """
    torch._C._cuda_clearCublasWorkspaces()


def is_like(images: Tensor, captured: Tensor) -> bool:
    """Whether ``images`` fit a graph that was captured with the images ``captured``."""
    return images.shape == captured.shape and images.dtype is captured.dtype


def _about(images: Tensor) -> str:
    return f"of {'×'.join(map(str, images.shape))} in {images.dtype}"
