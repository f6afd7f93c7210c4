"""Assembly of a cell's task: build, set to a mode, rewrite and convert, execute.

The suite, ``--fit``, ``stages`` and the static gate use it alike. Parameters and MACs are those of
the network as it was built, before any rewrite (bench/worker/cost.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench import archs
from bench.archs.source import Inputs, Shape
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import Draw, Drawing
from bench.cells.tasks import TASKS, Task
from bench.errors import RequestError
from bench.executors.executor import Executor, ModuleProgram
from bench.executors.request import ExecutorRequest
from bench.rewrites.rewrite import Rewrite
from bench.worker import network


def drawing(cell: Cell, image_size: int | None = None, input_shape: Shape | None = None) -> Drawing:
    """Return what draws batches for a cell's network."""
    return Drawing(archs.find(cell.arch), image_size, input_shape)


def build(cell: Cell, draw: Draw) -> nn.Module:
    """Build a cell's network on the CPU, in fp32; ``draw`` shapes its lazy modules.

    Raises ``RequestError`` for a network that its mode, dtype or task cannot run.
    """
    arch = archs.find(cell.arch)
    model = network.build(arch, aux=cell.task == "train", draw=draw)
    network.check_mode(model, cell)
    return model


def assemble(
    cell: Cell,
    model: nn.Module,
    example: Inputs,
    targets: Tensor,
    *,
    executor: Executor | None = None,
    threads: int | None = None,
    was_compiled: bool = False,
    is_profiled: bool = False,
) -> Task:
    """Return the task of a network that was built, on the device of its inputs.

    ``executor`` replaces the mode's own. ``threads`` are those of iterations; by default, the
    present number. ``was_compiled``: whether the same cell was compiled before. ``is_profiled``:
    whether its operators will be profiled at the end. The network may be changed in place. Raises
    ``RequestError`` for an executor that cannot train.
    """
    mode, dtype, task = modes.parse(cell.mode), DTYPES[cell.dtype], TASKS[cell.task]
    dtype.pin_precision()
    model = task.set_mode(model)
    in_fp32 = [rewrite for rewrite in mode.rewrites if not rewrite.after_cast]
    model, example = _rewrite(in_fp32, task, model, example)
    executor = executor or mode.executor
    if not executor.converts:
        model, example = task.convert(model, example, dtype)
    after_cast = [rewrite for rewrite in mode.rewrites if rewrite.after_cast]
    model, example = _rewrite(after_cast, task, model, example)
    request = ExecutorRequest(
        example=example,
        dtype=dtype.torch_dtype,
        device=example[0].device,
        threads=threads or torch.get_num_threads(),
        options=frozenset(option.name for option in mode.options),
        was_compiled=was_compiled,
        is_profiled=is_profiled,
    )
    program = executor.prepare(model, request)
    if cell.task == "train" and not isinstance(program, ModuleProgram):
        raise RequestError(
            f"executor {executor.name!r} cannot train: its program does not run an nn.Module; "
            "declare tasks=INFERENCE"
        )
    return task(program, model, example, targets, dtype)


def _rewrite(
    rewrites: Sequence[Rewrite], task: type[Task], model: nn.Module, example: Inputs
) -> tuple[nn.Module, Inputs]:
    """Return a network after rewrites, and inputs in the memory format that it needs."""
    for rewrite in rewrites:
        example = tuple(map(rewrite.arrange, example))
        model = task.set_mode(rewrite.apply(model, example))  # it may have added modules
    return model, example
