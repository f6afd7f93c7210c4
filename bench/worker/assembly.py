"""How a cell's network becomes a task: built, set to a mode, rewritten, converted, executed.

Every figure of a cell is of a task that was assembled here: those of the suite, of ``--fit``, of
``stages`` and of the static gate.
"""

import torch
from torch import Tensor, nn

from bench import archs
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.tasks import TASKS, Task
from bench.executors.executor import Executor, ExecutorRequest
from bench.worker import network


def build(cell: Cell, *, image_size: int) -> nn.Module:
    """Build a cell's network on the CPU, in fp32.

    Raises ``RequestError`` for a network that its mode, dtype or task cannot run.
    """
    arch = archs.find(cell.arch)
    model = network.build(arch, aux=cell.task == "train", image_size=image_size)
    network.check_mode(model, cell)
    return model


def assemble(
    cell: Cell,
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    executor: Executor | None = None,
    threads: int | None = None,
    is_cached: bool = False,
) -> Task:
    """Make a network that was built into a cell's task, on the device of its images.

    ``executor`` stands in for the mode's own. ``threads`` are those of iterations; by default, the
    present number. ``is_cached``: whether the same cell was compiled
    before. The network may be changed in place.
    """
    mode, dtype, task = modes.parse(cell.mode), DTYPES[cell.dtype], TASKS[cell.task]
    dtype.pin_precision()
    model = task.set_mode(model)
    for rewrite in mode.rewrites:
        images = rewrite.arrange(images)
        model = task.set_mode(rewrite.apply(model, images))  # it may have added modules
    model, images = task.convert(model, images, dtype)
    request = ExecutorRequest(
        example=images,
        dtype=dtype.torch_dtype,
        device=images.device,
        threads=threads or torch.get_num_threads(),
        is_cached=is_cached,
    )
    program = (executor or mode.executor).prepare(model, request)
    return task(program, model, images, targets, dtype)
