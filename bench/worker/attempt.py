"""An attempt: a network iterated at a batch size, to see whether memory holds it. Checks nothing.

The check of a cell's answer takes memory of its own, fp32 eager's, which a largest batch need not
leave room for.
"""

import torch

from bench.cells import archs, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import IMAGE_CHANNELS
from bench.cells.tasks import TASKS
from bench.worker import network

ITERATIONS = 3  # an optimiser's state is there from the first on, and a steady heap from the second


def iterate(cell: Cell, *, image_size: int, seed: int) -> None:
    """Build a cell's network and iterate it; raises whatever that raises."""
    torch.manual_seed(seed)
    device, dtype, is_training = torch.device(cell.device), DTYPES[cell.dtype], cell.task == "train"
    built = network.build(archs.find(cell.arch), aux=is_training, image_size=image_size)
    network.check_mode(built, cell)
    model = built.to(device)
    # Where and as what they are needed: copies on the way would be the larger part of a batch.
    images = torch.randn(
        (cell.batch_size, IMAGE_CHANNELS, image_size, image_size),
        device=device,
        dtype=torch.float32 if is_training else dtype.torch_dtype,
    )
    make = TASKS[cell.task]
    targets = make.targets(model, images)
    dtype.pin_precision()
    if modes.is_channels_last(cell.mode):
        images = images.contiguous(memory_format=torch.channels_last)
    task = make(modes.apply(cell.mode, model), images, targets, dtype)
    del images
    with task.context():
        for _ in range(ITERATIONS):
            task.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
