"""A network's eager forward as a CUDA graph, replayed with one launch.

It follows PyTorch's notes on CUDA graphs: warm up on a side stream, capture once, then copy each
batch into the static input that the graph reads. This copy is part of the timed iteration.
"""

from typing import TYPE_CHECKING, Any

from bench.capabilities import CUDA, INFERENCE
from bench.executors.executor import Executor, ModuleProgram, Program
from bench.executors.exported import PROGRAM
from bench.executors.request import ExecutorRequest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.archs.source import Inputs

# As in torch.cuda.make_graphed_callables: libraries choose algorithms and allocate in these calls.
WARM_UP_CALLS = 3


class CapturedProgram(ModuleProgram):
    """A network that is captured at its first run; each run overwrites the output."""

    def __init__(self, module: "nn.Module") -> None:
        super().__init__(module)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._static: Inputs | None = None
        self._output: Any = None

    def run(self, inputs: "Inputs") -> Any:
        """Replay the graph on inputs; the output is the same tensors at every call.

        Raises ``ValueError`` for inputs of another shape or dtype than the captured ones.
        """
        if self._graph is None or self._static is None:
            self._graph, self._static = self._capture(inputs)
        elif not is_like(inputs, self._static):
            raise ValueError(
                f"this network was captured as a CUDA graph for inputs {_about(self._static)}; "
                f"it cannot take inputs {_about(inputs)}"
            )
        for static, tensor in zip(self._static, inputs, strict=True):
            static.copy_(tensor)
        self._graph.replay()
        return self._output

    def _capture(self, inputs: "Inputs") -> "tuple[torch.cuda.CUDAGraph, Inputs]":
        import torch

        for tensor in inputs:
            if not tensor.is_cuda:
                raise ValueError(
                    f"a CUDA graph takes inputs on a CUDA device, not on {tensor.device}"
                )
        static = tuple(tensor.clone() for tensor in inputs)
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_CALLS):
                self.module(*static)
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        forget_workspaces()
        with torch.cuda.graph(graph):
            self._output = self.module(*static)
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


def is_like(inputs: "Inputs", captured: "Inputs") -> bool:
    """Whether ``inputs`` fit a graph that was captured with the inputs ``captured``."""
    return [(tensor.shape, tensor.dtype) for tensor in inputs] == [
        (tensor.shape, tensor.dtype) for tensor in captured
    ]


def _about(inputs: "Inputs") -> str:
    each = (f"{'×'.join(map(str, tensor.shape))} in {tensor.dtype}" for tensor in inputs)
    return f"of {', '.join(each)}"


def _prepare(module: "nn.Module", request: ExecutorRequest) -> Program:
    del request  # the first run captures
    return CapturedProgram(module)


_CODE = """\
side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side), torch.inference_mode():
    for _ in range(3):
        model(*example)
torch.cuda.current_stream().wait_stream(side)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph), torch.inference_mode():
    static_output = model(*example)


def run(*inputs):  # of the shapes and dtypes of example; each call overwrites the output
    for static, given in zip(example, inputs):
        static.copy_(given)
    graph.replay()
    return static_output
"""
CUDAGRAPHS = Executor(
    name="cudagraphs",
    what="the kernels of eager, captured once as a CUDA graph and replayed with one launch",
    prepare=_prepare,
    code=_CODE,
    file=PROGRAM,
    devices=CUDA,
    tasks=INFERENCE,
    limits="it captures only a forward pass; to train with CUDA graphs, use reduce-overhead",
    replays=True,
)
