"""A network's eager forward as a CUDA graph, replayed with one launch.

It follows PyTorch's notes on CUDA graphs: warm up on a side stream, capture once, then copy each
batch into the static input that the graph reads. This copy is part of the timed iteration.
"""

from typing import TYPE_CHECKING, Any

from bench.capabilities import CUDA, INFERENCE
from bench.executors.executor import Executor, ExecutorRequest, ModuleProgram, Program

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# As in torch.cuda.make_graphed_callables: libraries choose algorithms and allocate in these calls.
WARM_UP_CALLS = 3


class CapturedProgram(ModuleProgram):
    """A network that is captured at its first run; each run overwrites the output."""

    def __init__(self, module: "nn.Module") -> None:
        super().__init__(module)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._images: Tensor | None = None
        self._output: Any = None

    def run(self, inputs: "Tensor") -> Any:
        """Replay the graph on images; the output is the same tensors at every call.

        Raises ``ValueError`` for images of another shape or dtype than the captured ones.
        """
        if self._graph is None or self._images is None:
            self._graph, self._images = self._capture(inputs)
        elif not is_like(inputs, self._images):
            raise ValueError(
                f"this network was captured as a CUDA graph for images {_about(self._images)}; "
                f"it cannot take images {_about(inputs)}"
            )
        self._images.copy_(inputs)
        self._graph.replay()
        return self._output

    def _capture(self, images: "Tensor") -> "tuple[torch.cuda.CUDAGraph, Tensor]":
        import torch

        if not images.is_cuda:
            raise ValueError(f"a CUDA graph takes images on a CUDA device, not on {images.device}")
        static = images.clone()
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_CALLS):
                self.module(static)
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        forget_workspaces()
        with torch.cuda.graph(graph):
            self._output = self.module(static)
        forget_workspaces()
        return graph, static


def forget_workspaces() -> None:
    """Free cuBLAS's workspaces: one for each stream that called it, 32 MiB each on an H100.

    PyTorch keeps them until the process ends, so those of the warm-up would count as the network's
    memory. The workspace of a capture returns to the graph's own pool, where replays use it
    (see torch/_inductor/cudagraph_trees.py).
    """
    import torch

    torch._C._cuda_clearCublasWorkspaces()


def is_like(images: "Tensor", captured: "Tensor") -> bool:
    """Whether ``images`` fit a graph that was captured with the images ``captured``."""
    return images.shape == captured.shape and images.dtype is captured.dtype


def _about(images: "Tensor") -> str:
    return f"of {'×'.join(map(str, images.shape))} in {images.dtype}"


def _prepare(module: "nn.Module", request: ExecutorRequest) -> Program:
    del request  # the first run captures
    return CapturedProgram(module)


CUDAGRAPHS = Executor(
    name="cudagraphs",
    what="the kernels of eager, captured once as a CUDA graph and replayed with one launch",
    prepare=_prepare,
    devices=CUDA,
    tasks=INFERENCE,
    limits="it captures only a forward pass; to train with CUDA graphs, use reduce-overhead",
    replays=True,
)
