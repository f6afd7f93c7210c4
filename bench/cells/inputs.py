"""Inputs: batches that iterations use in turn, so that no iteration finds its images in a cache.

A network gets one tensor of images, or what its arch says (bench/archs/source.py).

On a GPU, a batch that is used again stays in the L2 cache. In deployment images are new and never
in it. The state ``cold`` rotates more batches than the cache can hold, and empties the cache
before each timed iteration. Then weights come from memory too, as they do when other work runs
between two requests; otherwise a network would be faster because it fits into this card's cache.
The state ``warm`` uses one batch repeatedly and does not empty the cache.

A CPU uses one batch. Between two uses of an image (0.6 MB), weights and activations (30 MB and more
at batch 1) pass through its caches; between two visits, those of other live workers do too.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from bench.archs.source import Arch, Inputs
from bench.names import RequestError

Draw: TypeAlias = Callable[[int], Inputs]
"""Function that draws a batch of a given size on the CPU, from torch's random generator."""

IMAGE_CHANNELS = 3
PATCHES = 8  # per image side, each with its own colour
# Multiple of a cache's size to write to empty it: its size alone leaves what was just read.
FLUSH = 2


class Batch(NamedTuple):
    """Images N × 3 × height × width, and the class of each if the task needs targets."""

    inputs: Inputs
    targets: Tensor


def drawing(arch: Arch, image_size: int | None) -> Draw:
    """Return the function that draws what an arch takes.

    Images have as many pixels per side as the arch's name says, or else ``image_size``, or else
    what the network is made for. The function raises ``RequestError`` if an arch with inputs of its
    own does not return tensors, or if its name asks for a size.
    """

    def draw(batch_size: int) -> Inputs:
        own = arch.inputs(batch_size)
        if own is None:
            size = arch.requested_size or image_size or arch.image_size()
            return (random_images(batch_size, size),)
        if arch.requested_size:
            raise RequestError(
                f"{arch.name} has inputs of its own (example_inputs), so its name cannot ask for a "
                "size of images"
            )
        return _checked(arch, own, batch_size)

    return draw


def _checked(arch: Arch, own: object, batch_size: int) -> Inputs:
    """Return an arch's own inputs: detached, on the CPU, with floating-point values in fp32."""
    tensors = (own,) if isinstance(own, Tensor) else own
    if (
        not isinstance(tensors, tuple | list)
        or not tensors
        or not all(isinstance(tensor, Tensor) for tensor in tensors)
    ):
        kind = type(own).__name__
        raise RequestError(
            f"the example inputs of {arch.name} are a tensor or a tuple of tensors, not {kind}"
        )
    if not tensors[0].ndim or len(tensors[0]) != batch_size:
        raise RequestError(
            f"the first example input of {arch.name} has the shape {tuple(tensors[0].shape)}; its "
            f"first dimension must be the batch size, {batch_size}"
        )
    return cast(tuple(tensor.detach().cpu() for tensor in tensors), torch.float32)


def cast(example: Inputs, dtype: torch.dtype) -> Inputs:
    """Convert floating-point inputs to a dtype."""
    return tuple(tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in example)


def to(example: Inputs, device: torch.device) -> Inputs:
    """Move inputs to a device."""
    return tuple(tensor.to(device) for tensor in example)


def clone(example: Inputs) -> Inputs:
    """Copy inputs, because a network may write into them."""
    return tuple(tensor.clone() for tensor in example)


def copy_into(example: Inputs, values: Inputs) -> None:
    """Write values into the tensors of ``example``, which keep their dtype and memory format."""
    for tensor, value in zip(example, values, strict=True):
        tensor.copy_(value)


def first(example: Inputs) -> Inputs:
    """Return the first image of a batch, likewise for other inputs that have the batch size."""
    batch_size = len(example[0])
    return tuple(
        tensor[:1] if tensor.ndim and len(tensor) == batch_size else tensor for tensor in example
    )


def image_size(example: Inputs) -> int | None:
    """Return the height and width of a batch of square RGB images; None for other inputs."""
    images, *others = example
    is_images = not others and images.is_floating_point() and images.ndim == 4
    if not is_images or images.shape[1] != IMAGE_CHANNELS or images.shape[2] != images.shape[3]:
        return None
    return images.shape[2]


def shapes(example: Inputs) -> tuple[str, ...]:
    """Return the shape of each input without the batch, for example ``3×224×224`` or ``77 int64``.

    The dtype of floating-point inputs is left out, because it is that of the cell.
    """
    return tuple(map(_shape, example))


def _shape(tensor: Tensor) -> str:
    shape = "×".join(map(str, tensor.shape[1:])) or "1"
    return shape if tensor.is_floating_point() else f"{shape} {tensor.dtype}".replace("torch.", "")


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


def similar_batches(batch: Batch, draw: Draw, count: int) -> Iterator[Batch]:
    """Yield ``count`` newly drawn batches in the shape, memory format and dtype of ``batch``."""
    for _ in range(count):
        example = tuple(map(torch.empty_like, batch.inputs))  # keeps the memory format
        copy_into(example, draw(len(example[0])))
        yield Batch(example, batch.targets.clone())


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
