"""What a network takes: said in a sentence, before a convolution says it in code."""

import warnings

import torch
from torch import Tensor
from torch.fx import has_side_effect


@has_side_effect  # otherwise torch.fx removes the call as dead code, since it returns nothing
def check_images(images: Tensor, channels: int, least: int) -> None:
    """Raise ``ValueError`` for anything but floating N × channels × H × W of ``least`` pixels.

    ``torch.jit.script`` leaves the check out. ``torch.fx`` keeps it as one call, because the
    modules that call it say ``torch.fx.wrap("check_images")``.
    """
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        _raise_unless_valid(images, shape_of(images), channels, least)


def shape_of(x: Tensor) -> tuple[int, ...]:
    """Shape of ``x`` as integers, under ``torch.jit.trace`` too, where sizes are tensors.

    A check may look at the traced example alone, so the tracer's warning does not apply.
    """
    if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return tuple(x.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        return tuple(int(size) for size in x.shape)


def _raise_unless_valid(images: Tensor, shape: tuple[int, ...], channels: int, least: int) -> None:
    if len(shape) != 4:
        raise ValueError(
            f"expected a batch of images, N × {channels} × H × W; got {len(shape)} dimensions "
            f"of shape {shape}"
        )
    if shape[1] != channels:
        raise ValueError(f"expected {channels} input channels; got {shape[1]} in shape {shape}")
    if shape[2] < least or shape[3] < least:
        raise ValueError(
            f"images must be at least {least}×{least} pixels for every pooling to leave one; "
            f"got {shape[2]}×{shape[3]}"
        )
    if not images.is_floating_point():
        raise ValueError(
            f"expected images of floating point; got {images.dtype}, which images.float() converts"
        )
