"""The inputs: batches that iterations take in turn, so that none finds its images in a cache.

On a GPU one batch used again would stay in the L2 cache, where what is served never is: images are
new. ``cold`` takes as many batches in turn as the cache cannot hold together, and empties it before
each timed iteration, so that weights come from memory too, as they do where other work ran between
two requests; else a network would be the faster for fitting into the cache of this card. ``warm``
takes one batch again and again, and leaves the cache alone.

A CPU has one batch: weights and activations, 30 MB and more at batch 1, pass through its caches
between two uses of the 0.6 MB of an image, and other live workers do between two visits.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

IMAGE_CHANNELS = 3
PATCHES = 8  # across an image, each of its own colour
# Of its size is written to empty a cache: once alone would leave what was just read.
FLUSH = 2


class Batch(NamedTuple):
    """Images N × 3 × height × width, and the class of each, where a task needs it."""

    images: Tensor
    targets: Tensor


def random_images(batch_size: int, image_size: int) -> Tensor:
    """Images N × 3 × size × size of coloured patches under noise, all normal, contrast apart.

    Plain noise looks the same everywhere: a network's deep features then hardly vary, and batch
    norm blows up the rounding in what is left, tenfold (measured on GoogLeNet).
    """
    shape = (batch_size, IMAGE_CHANNELS)
    patches = nn.functional.interpolate(
        torch.randn(*shape, PATCHES, PATCHES), size=(image_size, image_size), mode="bilinear"
    )
    noise = torch.randn(*shape, image_size, image_size)
    contrast, brightness = torch.rand(*shape, 1, 1) + 0.5, torch.randn(*shape, 1, 1)
    return (patches + noise / 2) * contrast + brightness


def like(batch: Batch, count: int) -> Iterator[Batch]:
    """So many more batches of other images, of the same shape, memory format, dtype and device."""
    for _ in range(count):
        found = random_images(len(batch.images), batch.images.shape[-1])
        images = torch.empty_like(batch.images).copy_(found)  # keeps the memory format
        yield Batch(images, batch.targets.clone())


def batches_for(batch_bytes: int, cache_bytes: int) -> int:
    """The fewest batches that a cache cannot hold together."""
    return cache_bytes // batch_bytes + 1


def l2_bytes(device: torch.device) -> int:
    """The size of a GPU's L2 cache."""
    size: int = torch.cuda.get_device_properties(device).L2_cache_size
    return size


class Flush:
    """Empties a GPU's L2 cache by writing what does not fit into it, as triton's do_bench does."""

    def __init__(self, cache_bytes: int, device: torch.device) -> None:
        self._written = torch.empty(FLUSH * cache_bytes, dtype=torch.uint8, device=device)

    def __call__(self) -> None:
        """Write; the device is not waited for."""
        self._written.zero_()
