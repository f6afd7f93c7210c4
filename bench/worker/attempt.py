"""An attempt to iterate a network at a batch size, which shows whether it fits into memory.

The answer is not checked: the check needs memory for fp32 eager as well, and the largest batch size
may not leave room for that.
"""

import torch

from bench.archs.source import Inputs, Shape
from bench.cells import inputs, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import Drawing
from bench.cells.tasks import TASKS
from bench.worker import assembly

ITERATIONS = 3  # the optimiser's state exists after the first; the heap is steady from the second


def iterate(
    cell: Cell, *, image_size: int | None, input_shape: Shape | None = None, seed: int
) -> None:
    """Build a cell's network and iterate it. Errors of the network pass through."""
    torch.manual_seed(seed)
    device, dtype, is_training = torch.device(cell.device), DTYPES[cell.dtype], cell.task == "train"
    draw = assembly.drawing(cell, image_size, input_shape)
    model = assembly.build(cell, draw).to(device)
    # On the device and in the dtype of the cell: temporary copies would need more memory than the
    # batch. A rewrite may run the network, which is in fp32 until then, and so does an executor
    # that converts it.
    mode = modes.parse(cell.mode)
    runs_in_fp32 = (
        is_training
        or mode.executor.converts
        or any(not rewrite.is_memory_format for rewrite in mode.rewrites)
    )
    drawn_dtype = torch.float32 if runs_in_fp32 else dtype.torch_dtype
    example = _example(draw, cell.batch_size, device, drawn_dtype)
    targets = TASKS[cell.task].targets(model, example)
    task = assembly.assemble(cell, model, example, targets)
    del example
    with task.context():
        for _ in range(ITERATIONS):
            task.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _example(draw: Drawing, batch_size: int, device: torch.device, dtype: torch.dtype) -> Inputs:
    """Return a batch. The values of images hardly matter, so they are drawn where they are used."""
    if draw.shape:
        return (torch.randn(batch_size, *draw.shape, device=device, dtype=dtype),)
    return inputs.to(inputs.cast(draw(batch_size), dtype), device)
