"""Counts that come out the same every time: of a cell's network, and of its graphs. No clock.

They are taken on a CPU, whatever the machine has, so that they are the same on any machine.

**Peak bytes** are the most bytes that are alive together in an iteration of the cell's network in
eager: weights, images and activations, in training gradients and momenta too. Storages are counted
as operators put them out and as they are freed; no allocator is asked. So nothing is rounded up,
and what an operator takes for itself while it runs is not in it: PyTorch's CPU allocator says
1.5 kB more for GoogLeNet, at batch 1 and at batch 8; on CUDA the allocator rounds every tensor up
to 512 bytes, and keeps the workspaces of cuDNN and cuBLAS besides. A compiled mode has the figure
of its eager self; what Inductor fuses, it does not hold.

**Graphs** are those that Dynamo captures, for a backend that runs them as they are. Inductor, which
takes half a minute, comes after Dynamo and breaks nothing up. **Breaks** are Dynamo's reasons for
ending a graph early: its counter of breaks leaves out branches on a tensor's value, and breaks in a
``try``. A break in a loop makes it give up the whole function, which shows as fewer graphs.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench.cells import archs, inputs, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.plan import IMAGE_SIZE
from bench.cells.tasks import TASKS, Task
from bench.gate.baseline import UNCOUNTED, Counts
from bench.worker import cost, memory, network, subject
from bench.worker.watch import Watch

SEED = 0  # of weights and images, for networks that look into them
ITERATIONS = 2  # after the first of them an optimizer has its momenta
GRAPH_COUNTS = ("graphs", "graph_breaks", "recompiled_graphs")


def of_networks(cells: Sequence[Cell], image_size: int = IMAGE_SIZE) -> dict[str, Counts]:
    """What the networks of cells that share an arch are made of, and what they hold; by cell id.

    Raises whatever building and running the network raise.
    """
    on_paper = _on_paper(archs.find(cells[0].arch), image_size)
    eager = {cell: _bytes(cell, image_size) for cell in dict.fromkeys(map(in_eager, cells))}
    return {cell.id: {**on_paper, **eager[in_eager(cell)]} for cell in cells}


def of_graphs(cells: Sequence[Cell], image_size: int = IMAGE_SIZE) -> dict[str, Counts]:
    """What Dynamo makes of the networks of cells, by cell id; it forgets what it knew before."""
    return {
        cell.id: _graphs(cell, image_size)
        if modes.is_compiled(cell.mode)
        else dict.fromkeys(GRAPH_COUNTS, 0)
        for cell in cells
    }


def in_eager(cell: Cell) -> Cell:
    """The cell with the same rewrites and memory format, and no executor."""
    tokens = modes.parse(cell.mode)
    kept = [token.name for token in tokens if token.kind is not modes.Kind.EXECUTOR]
    return replace(cell, mode=modes.canonical("+".join(kept) or "eager"))


def capturing(model: nn.Module) -> nn.Module:
    """The network under Dynamo, as ``compile`` has it but for Inductor.

    The first call imports a lot, and of the model touches nothing.
    """
    return torch.compile(model, backend=_as_it_is, dynamic=False)  # type: ignore[return-value]


class Alive(Watch):
    """Bytes of storages that are alive: those it was shown, and those that operators put out."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._bytes = 0
        self._places: set[int] = set()

    def ran(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """See what an operator puts out, beside what it was given."""
        del func, args
        self.see(result)

    def see(self, tensors: Any) -> None:
        """Count the storages of tensors, each once, until it is freed."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        self.peak_bytes = max(self.peak_bytes, self._bytes)

    def _see(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if size and place not in self._places:
            self._places.add(place)
            self._bytes += size
            # Python's wrapper of a storage lives as long as the storage, whoever holds that.
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._places.remove(place)
        self._bytes -= size


def _on_paper(arch: archs.Arch, image_size: int) -> Counts:
    counted = cost.count(arch, image_size=image_size, seed=SEED)
    return {
        "params": counted.params,
        "params_with_aux": counted.params_with_aux,
        "macs_per_image": counted.macs,
        "flops_per_image": counted.flops,
        "fvcore_total_per_image": counted.fvcore_total,
        **{f"{UNCOUNTED}{name}": ran for name, ran in counted.uncounted.items()},
    }


def _bytes(cell: Cell, image_size: int) -> Counts:
    """What a cell's network holds in eager."""
    task = _task(cell, image_size)
    alive = Alive()
    alive.see((task.batch.images, *task.model.parameters(), *task.model.buffers()))
    # Not the task's inference_mode: there an operator made of several is seen as one.
    with torch.set_grad_enabled(cell.task == "train"), alive:
        for _ in range(ITERATIONS):
            task.step()
    return {"weights_bytes": memory.of_weights(task.model), "peak_bytes": alive.peak_bytes}


def _graphs(cell: Cell, image_size: int) -> Counts:
    """The graphs of a first iteration, and what a second one of the same shape adds to them."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()  # and with everything else the reasons
    counters.clear()
    task = _task(cell, image_size)
    with task.context():
        task.step()
        graphs, breaks = subject.compiled_graphs()
        task.step()
        recompiled = subject.compiled_graphs()[0] - graphs
    return dict(zip(GRAPH_COUNTS, (graphs, breaks, recompiled), strict=True))


def _task(cell: Cell, image_size: int) -> Task:
    """A cell's task as the suite makes it, but that ``capturing`` stands for compilation."""
    torch.manual_seed(SEED)
    arch = archs.find(cell.arch)
    model = network.build(arch, aux=cell.task == "train", image_size=image_size)
    network.check_mode(model, cell)
    images = inputs.random_images(cell.batch_size, image_size)
    targets = TASKS[cell.task].targets(model, images)
    model = modes.apply(in_eager(cell).mode, model)
    if modes.is_compiled(cell.mode):
        model = capturing(model)
    if modes.is_channels_last(cell.mode):
        images = images.contiguous(memory_format=torch.channels_last)
    return TASKS[cell.task](model, images, targets, DTYPES[cell.dtype])


def _as_it_is(graph: torch.fx.GraphModule, _inputs: Sequence[Any]) -> Callable[..., Any]:
    """A backend that compiles nothing."""
    return graph.forward
