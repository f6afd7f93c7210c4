"""Inputs: batches that iterations use in turn, so that no iteration finds its images in a cache.

On a GPU, a batch that is used again stays in the L2 cache. In deployment images are new and never
in it. The state ``cold`` rotates more batches than the cache can hold, and empties the cache
before each timed iteration. Then weights come from memory too, as they do when other work runs
between two requests; otherwise a network would be faster because it fits into this card's cache.
The state ``warm`` uses one batch repeatedly and does not empty the cache.

A CPU uses one batch. Between two uses of an image (0.6 MB), weights and activations (30 MB and more
at batch 1) pass through its caches; between two visits, those of other live workers do too.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

IMAGE_CHANNELS = 3
PATCHES = 8  # per image side, each with its own colour
# Multiple of a cache's size to write to empty it: its size alone leaves what was just read.
FLUSH = 2


class Batch(NamedTuple):
    """Images N × 3 × height × width, and the class of each if the task needs targets."""

    images: Tensor
    targets: Tensor


def random_images(batch_size: int, image_size: int) -> Tensor:
    """Return images N × 3 × size × size of coloured patches plus noise.

    All values are normally distributed, except the contrast. Plain noise looks the same everywhere:
    deep features then hardly vary, and batch norm amplifies the rounding errors tenfold (measured
    on GoogLeNet).
    """
    shape = (batch_size, IMAGE_CHANNELS)
    patches = nn.functional.interpolate(
        torch.randn(*shape, PATCHES, PATCHES), size=(image_size, image_size), mode="bilinear"
    )
    noise = torch.randn(*shape, image_size, image_size)
    contrast, brightness = torch.rand(*shape, 1, 1) + 0.5, torch.randn(*shape, 1, 1)
    return (patches + noise / 2) * contrast + brightness


def similar_batches(batch: Batch, count: int) -> Iterator[Batch]:
    """Yield ``count`` batches of new images in the shape, memory format and dtype of ``batch``."""
    for _ in range(count):
        generated = random_images(len(batch.images), batch.images.shape[-1])
        images = torch.empty_like(batch.images).copy_(generated)  # keeps the memory format
        yield Batch(images, batch.targets.clone())


def batches_for(batch_bytes: int, cache_bytes: int) -> int:
    """Return the smallest number of batches that do not fit into a cache together."""
    return cache_bytes // batch_bytes + 1


def l2_bytes(device: torch.device) -> int:
    """Return the size of a GPU's L2 cache."""
    size: int = torch.cuda.get_device_properties(device).L2_cache_size
    return size


class Flush:
    """Empties a GPU's L2 cache by writing more than it holds, as triton's do_bench does."""

    def __init__(self, cache_bytes: int, device: torch.device) -> None:
        self._written = torch.empty(FLUSH * cache_bytes, dtype=torch.uint8, device=device)

    def __call__(self) -> None:
        """Start the write; do not wait for the device."""
        self._written.zero_()
