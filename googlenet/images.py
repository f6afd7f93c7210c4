"""Checks of a network's input, with clearer messages than those of a convolution."""

import warnings

import torch
from torch import Tensor
from torch.fx import has_side_effect


@has_side_effect  # otherwise torch.fx removes the call as dead code, since it returns nothing
def check_images(images: Tensor, channels: int, min_size: int) -> None:
    """Raise ``ValueError`` unless images are floating-point N × channels × H × W.

    H and W must be at least ``min_size`` pixels. Under ``torch.jit.script`` the check is skipped.
    ``torch.fx`` keeps it as one call, because the modules that call it use
    ``torch.fx.wrap("check_images")``.
    """
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        _raise_unless_valid(images, shape_of(images), channels, min_size)


def shape_of(x: Tensor) -> tuple[int, ...]:
    """Return the shape of ``x`` as integers; under ``torch.jit.trace`` sizes are tensors.

    The tracer's warning does not apply: a check needs only the shape of the traced example.
    """
    if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return tuple(x.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        return tuple(int(size) for size in x.shape)


def _raise_unless_valid(
    images: Tensor, shape: tuple[int, ...], channels: int, min_size: int
) -> None:
    if len(shape) != 4:
        raise ValueError(
            f"expected a batch of images, N × {channels} × H × W; got {len(shape)} dimensions "
            f"of shape {shape}"
        )
    if shape[1] != channels:
        raise ValueError(f"expected {channels} input channels; got {shape[1]} in shape {shape}")
    if shape[2] < min_size or shape[3] < min_size:
        raise ValueError(
            f"images must be at least {min_size}×{min_size} pixels, or a pooling leaves none; "
            f"got {shape[2]}×{shape[3]}"
        )
    if not images.is_floating_point():
        raise ValueError(
            f"expected floating-point images; got {images.dtype}: convert them with images.float()"
        )
