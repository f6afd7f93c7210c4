"""An attempt to iterate a network at a batch size, which shows whether it fits into memory.

The answer is not checked: the check needs memory for fp32 eager as well, and the largest batch size
may not leave room for that.
"""

import torch

from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import IMAGE_CHANNELS
from bench.cells.tasks import TASKS
from bench.worker import assembly

ITERATIONS = 3  # the optimiser's state exists after the first; the heap is steady from the second


def iterate(cell: Cell, *, image_size: int, seed: int) -> None:
    """Build a cell's network and iterate it. Errors of the network pass through."""
    torch.manual_seed(seed)
    device, dtype, is_training = torch.device(cell.device), DTYPES[cell.dtype], cell.task == "train"
    model = assembly.build(cell, image_size=image_size).to(device)
    # Drawn on the device and in the dtype of the cell: temporary copies would need more memory than
    # the batch. A rewrite may run the network, which is in fp32 until then.
    runs_in_fp32 = is_training or any(
        not rewrite.is_memory_format for rewrite in modes.parse(cell.mode).rewrites
    )
    images = torch.randn(
        (cell.batch_size, IMAGE_CHANNELS, image_size, image_size),
        device=device,
        dtype=torch.float32 if runs_in_fp32 else dtype.torch_dtype,
    )
    targets = TASKS[cell.task].targets(model, images)
    task = assembly.assemble(cell, model, images, targets)
    del images
    with task.context():
        for _ in range(ITERATIONS):
            task.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
