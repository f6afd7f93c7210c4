"""A captured network: its eager forward as a CUDA graph, replayed with one launch.

As PyTorch's notes on CUDA graphs have it: warmed up on a side stream, captured once, and from then
on fed through the one input that the graph reads. The copy into it belongs to the iteration.
"""

from typing import Any

import torch
from torch import Tensor, nn

WARM_UP_CALLS = (
    3  # as torch.cuda.make_graphed_callables does: libraries choose and allocate in them
)


class Captured(nn.Module):
    """A network for inference, whose first call captures it; every call overwrites the output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._graph: torch.cuda.CUDAGraph | None = None
        self._images: Tensor | None = None
        self._output: Any = None

    def forward(self, images: Tensor) -> Any:
        """Replay the graph on ``images``; the output is the same tensors at every call.

        Raises ``ValueError`` for images that are not like those it was captured with.
        """
        if self._graph is None or self._images is None:
            self._graph, self._images = self._capture(images)
        elif not is_like(images, self._images):
            raise ValueError(
                f"this network was captured as a CUDA graph for images {_about(self._images)}; "
                f"it cannot take {_about(images)}"
            )
        self._images.copy_(images)
        self._graph.replay()
        return self._output

    def _capture(self, images: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        if not images.is_cuda:
            raise ValueError(f"a CUDA graph takes images on a CUDA device, not on {images.device}")
        static = images.clone()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_CALLS):
                self.model(static)
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        forget_workspaces()
        with torch.cuda.graph(graph):
            self._output = self.model(static)
        forget_workspaces()
        return graph, static


def forget_workspaces() -> None:
    """Give back what cuBLAS works in on each stream that it was called on, 32 MiB of an H100.

    PyTorch keeps them for the process's life: those of warming up would be the network's memory.
    One that a graph was captured with goes back to the graph's own pool, and is replayed in there
    (as torch/_inductor/cudagraph_trees.py has it).
    """
    torch._C._cuda_clearCublasWorkspaces()


def is_like(images: Tensor, captured: Tensor) -> bool:
    """Whether a graph that read ``captured`` may be fed ``images``."""
    return images.shape == captured.shape and images.dtype is captured.dtype


def _about(images: Tensor) -> str:
    return f"of {'×'.join(map(str, images.shape))} in {images.dtype}"
