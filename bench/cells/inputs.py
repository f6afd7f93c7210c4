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

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from bench.archs.source import IMAGE_SIZE, RGB, Arch, Inputs, Shape
from bench.errors import RequestError

Draw: TypeAlias = Callable[[int], Inputs]
"""Function that draws a batch of a given size on the CPU, from torch's random generator; usually a
``Drawing``."""

_CONTIGUOUS = torch.contiguous_format
PATCHES = 8  # per image side, each with its own colour
# How much images differ: contrast is uniform in 1 ± 0.2, brightness is normal with an sd of 0.3.
# With 1 ± 0.5 and 1.0, a relative change of 1e-6 in the input changed the output of an untrained
# EfficientNet-B4 by 0.4, and that of a RegNetY-1.6GF by 0.05; with these values by 2e-5 and 9e-5.
CONTRAST = 0.2
BRIGHTNESS = 0.3
# Multiple of a cache's size to write to empty it: its size alone leaves what was just read.
FLUSH = 2


class Batch(NamedTuple):
    """Inputs, and the class of each image if the task needs targets."""

    inputs: Inputs
    targets: Tensor


class Drawing:
    """Draws what an arch takes."""

    def __init__(
        self, arch: Arch, image_size: int | None = None, input_shape: Shape | None = None
    ) -> None:
        """Images have as many pixels per side as the arch's name says, or else ``image_size``.

        If both are unknown, they have what the network is made for.
        """
        self._arch = arch
        self._image_size = image_size
        self._input_shape = input_shape

    @cached_property
    def _own(self) -> object:
        """A batch of one element of the arch's own inputs; None if it takes images."""
        with torch.random.fork_rng(devices=()):
            return self._arch.inputs(1)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs if the network takes them as keyword arguments; else empty."""
        return tuple(self._own) if isinstance(self._own, Mapping) else ()

    @cached_property
    def shape(self) -> Shape | None:
        """Channels, height and width of the images; None if the arch has inputs of its own."""
        has_own = self._own is not None
        requested = self._arch.requested_shape
        if has_own and requested:
            raise RequestError(
                f"{self._arch.name} has inputs of its own (example_inputs), so its name cannot ask "
                "for a size of images"
            )
        if has_own:
            return None
        if requested:
            return requested
        size = self._image_size or self._arch.image_size()
        if size is None and self._input_shape:
            return self._input_shape
        size = size or IMAGE_SIZE
        return RGB, size, size

    @property
    def image_size(self) -> int | None:
        """Height and width of the images in pixels; None if they are not square and of RGB."""
        if self.shape is None:
            return None
        channels, height, width = self.shape
        return height if channels == RGB and height == width else None

    def __call__(self, batch_size: int) -> Inputs:
        """Return a new batch. Raises ``RequestError`` if the arch's own inputs are not valid."""
        if self.shape:
            channels, height, width = self.shape
            return (random_images(batch_size, height, width, channels),)
        own = self._arch.inputs(batch_size)
        if isinstance(own, Mapping):
            if tuple(own) != self.names:
                raise RequestError(
                    f"the example inputs of {self._arch.name} have other names for a batch of "
                    f"{batch_size}: {', '.join(map(str, own))}, not {', '.join(self.names)}"
                )
            own = tuple(own.values())
        return _checked(self._arch.name, own, batch_size)

    def positional(self, model: nn.Module) -> nn.Module:
        """Return a network that takes what this draws as positional arguments."""
        return _ByName(model, self.names) if self.names else model


class _ByName(nn.Module):
    """A network whose inputs have names; it takes them as positional arguments."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self._names = tuple(names)

    def forward(self, *example: Tensor) -> object:
        return self.network(**dict(zip(self._names, example, strict=True)))


def _checked(name: str, own: object, batch_size: int) -> Inputs:
    """Return copies of an arch's own inputs on the CPU, with floating-point values in fp32."""
    tensors = own if isinstance(own, tuple | list) else (own,)
    subject = f"the example inputs of {name}"
    if not tensors:
        raise RequestError(f"{subject} are empty: return a tensor, or a tuple or dict of tensors")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise RequestError(
                f"{subject} must be a tensor, or a tuple or dict of tensors, without "
                f"{type(tensor).__name__}"
            )
        if tensor.shape[:1] != (batch_size,):
            raise RequestError(
                f"{subject} have a tensor of shape {tuple(tensor.shape)} for a batch of "
                f"{batch_size}: the first dimension of each must be the batch size"
            )
        if not tensor.isfinite().all():
            raise RequestError(f"{subject} have values that are not finite")
    # Contiguous copies: the checks write into them, which an expanded tensor does not allow.
    copies = (tensor.detach().cpu().clone(memory_format=_CONTIGUOUS) for tensor in tensors)
    return cast(tuple(copies), torch.float32)


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
    """Return the first image of a batch."""
    return tuple(tensor[:1] for tensor in example)


def shapes(example: Inputs) -> tuple[str, ...]:
    """Return the shape of each input without the batch, for example ``3×224×224`` or ``77 int64``.

    The dtype of floating-point inputs is left out, because it is that of the cell.
    """
    return tuple(map(_shape, example))


def _shape(tensor: Tensor) -> str:
    shape = "×".join(map(str, tensor.shape[1:])) or "1"
    return shape if tensor.is_floating_point() else f"{shape} {tensor.dtype}".replace("torch.", "")


def random_images(
    batch_size: int, height: int, width: int | None = None, channels: int = RGB
) -> Tensor:
    """Return images N × channels × height × width of coloured patches plus noise.

    They are square unless ``width`` is given.

    All values are normally distributed, except the contrast. Plain noise looks the same everywhere:
    deep features then hardly vary, and batch norm amplifies the rounding errors tenfold (measured
    on GoogLeNet). Images that differ too much do the same: batch norm has the statistics of others,
    and each block of EfficientNet or RegNet makes activations that are too large even larger.
    """
    size = (height, height if width is None else width)
    shape = (batch_size, channels)
    patches = nn.functional.interpolate(
        torch.randn(*shape, PATCHES, PATCHES), size=size, mode="bilinear"
    )
    noise = torch.randn(*shape, *size)
    contrast = 1 + CONTRAST * (2 * torch.rand(*shape, 1, 1) - 1)
    brightness = BRIGHTNESS * torch.randn(*shape, 1, 1)
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
