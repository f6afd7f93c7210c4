"""Exact counts of a cell's network and graphs. No clock.

Counts are taken on a CPU on every machine, so that they are the same everywhere.

**Peak bytes** are the most bytes that are alive at the same time in an iteration of the cell's
network in eager: weights, images and activations, and in training gradients and momenta. A storage
counts from when an operator returns it until it is freed; the allocator is not involved. So nothing
is rounded up, and an operator's temporary memory is not included. PyTorch's CPU allocator reports
1.5 kB more for GoogLeNet, at batch 1 and at batch 8. On CUDA the allocator rounds every tensor up
to 512 bytes and also holds the workspaces of cuDNN and cuBLAS. A compiled mode gets the figure of
its eager equivalent, although it does not hold the intermediate results that Inductor fuses.

**Graphs** are those that Dynamo captures, for a backend that runs them unchanged. Inductor, which
takes half a minute, runs after Dynamo and does not add breaks. **Breaks** are Dynamo's recorded
reasons for ending a graph early, because its counter of breaks omits branches on a tensor's value
and breaks in a ``try``. After a break in a loop Dynamo skips the whole function, which shows as
fewer graphs.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench import archs
from bench.archs.source import IMAGE_SIZE, Arch, Shape
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.tasks import TASKS, Task
from bench.counts.baseline import UNCOUNTED, Counts
from bench.executors.executor import Executor, ModuleProgram, Program
from bench.executors.request import ExecutorRequest
from bench.worker import assembly, cost, memory, subject
from bench.worker.watch import Watch

SEED = 0  # of weights and images, because a network may branch on their values
ITERATIONS = 2  # an optimizer has its momenta after the first one
GRAPH_COUNTS = ("graphs", "graph_breaks", "recompiled_graphs")


def count_networks(
    cells: Sequence[Cell], image_size: int | None = IMAGE_SIZE, input_shape: Shape | None = None
) -> dict[str, Counts]:
    """Return parameters, operations and bytes of cells that share an arch, by cell id.

    Does not catch exceptions from building and running the network.
    """
    cost_counts = _cost(archs.find(cells[0].arch), image_size, input_shape)
    eager = {
        cell: _bytes(cell, image_size, input_shape) for cell in dict.fromkeys(map(in_eager, cells))
    }
    return {cell.id: {**cost_counts, **eager[in_eager(cell)]} for cell in cells}


def count_graphs(
    cells: Sequence[Cell], image_size: int | None = IMAGE_SIZE, input_shape: Shape | None = None
) -> dict[str, Counts]:
    """Return graphs and graph breaks of cells, by cell id. Resets Dynamo before each cell."""
    return {
        cell.id: _graphs(cell, image_size, input_shape)
        if modes.parse(cell.mode).executor.captures
        else dict.fromkeys(GRAPH_COUNTS, 0)
        for cell in cells
    }


def in_eager(cell: Cell) -> Cell:
    """Return the cell with the same rewrites and memory format but without an executor."""
    return replace(cell, mode=modes.parse(cell.mode).without_executor().name)


def dynamo_only(model: nn.Module) -> nn.Module:
    """Return the network under Dynamo, as in mode ``compile`` but without Inductor.

    The first call imports many modules. The model itself is not run or changed.
    """
    return torch.compile(model, backend=_unchanged, dynamic=False)  # type: ignore[return-value]


class LiveBytes(Watch):
    """Bytes of live storages: those passed to ``see``, and those that operators return."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._bytes = 0
        self._addresses: set[int] = set()

    def ran(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Count the storages that an operator returns."""
        del func, args
        self.see(result)

    def see(self, tensors: Any) -> None:
        """Count the storages of tensors, each one once and until it is freed."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        self.peak_bytes = max(self.peak_bytes, self._bytes)

    def _see(self, storage: torch.UntypedStorage) -> None:
        address, size = storage.data_ptr(), storage.nbytes()
        if size and address not in self._addresses:
            self._addresses.add(address)
            self._bytes += size
            # Python's wrapper of a storage lives as long as the storage itself.
            weakref.finalize(storage, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._addresses.remove(address)
        self._bytes -= size


def _cost(arch: Arch, image_size: int | None, input_shape: Shape | None) -> Counts:
    counted = cost.count(arch, image_size=image_size, input_shape=input_shape, seed=SEED)
    return {
        "params": counted.params,
        "params_with_aux": counted.params_with_aux,
        "macs_per_image": counted.macs,
        "flops_per_image": counted.flops,
        "fvcore_total_per_image": counted.fvcore_total,
        **{f"{UNCOUNTED}{name}": calls for name, calls in counted.uncounted.items()},
    }


def _bytes(cell: Cell, image_size: int | None, input_shape: Shape | None) -> Counts:
    """Return the bytes of a cell's network in eager."""
    task = _task(cell, image_size, input_shape)
    live = LiveBytes()
    live.see((*task.batch.inputs, *task.model.parameters(), *task.model.buffers()))
    # Not the task's inference_mode, because there a composite operator is seen as one operator.
    with torch.set_grad_enabled(cell.task == "train"), live:
        for _ in range(ITERATIONS):
            task.step()
    return {"weights_bytes": memory.weights_bytes(task.model), "peak_bytes": live.peak_bytes}


def _graphs(cell: Cell, image_size: int | None, input_shape: Shape | None) -> Counts:
    """Return the graphs of a first iteration, and those that a second one of its shape adds."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()  # this also clears the reasons for breaks
    counters.clear()
    task = _task(cell, image_size, input_shape)
    with task.context():
        task.step()
        graphs, breaks = subject.compiled_graphs()
        task.step()
        recompiled = subject.compiled_graphs()[0] - graphs
    return dict(zip(GRAPH_COUNTS, (graphs, breaks, recompiled), strict=True))


def _task(cell: Cell, image_size: int | None, input_shape: Shape | None) -> Task:
    """Return a cell's task as the suite builds it, with ``dynamo_only`` instead of compilation."""
    torch.manual_seed(SEED)
    draw = assembly.drawing(cell, image_size, input_shape)
    model = assembly.build(cell, draw)
    example = draw(cell.batch_size)
    targets = TASKS[cell.task].targets(model, example)
    captures = modes.parse(cell.mode).executor.captures
    cell = cell if captures else in_eager(cell)
    executor = _DYNAMO_ONLY if captures else None
    return assembly.assemble(cell, model, example, targets, executor=executor)


def _unchanged(graph: torch.fx.GraphModule, _inputs: Sequence[Any]) -> Callable[..., Any]:
    """A backend that runs a graph without compiling it."""
    return graph.forward


def _prepare(model: nn.Module, request: ExecutorRequest) -> Program:
    del request
    return ModuleProgram(dynamo_only(model))


_DYNAMO_ONLY = Executor(
    name="dynamo-only", what="Dynamo with a backend that compiles nothing", prepare=_prepare
)
