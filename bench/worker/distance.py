"""Distances between tensors, and between the leaves of two outputs. Numbers in, numbers out."""

import math

import torch
from torch import Tensor

from bench.cells.leaves import Leaves


def relative_error(found: Tensor, expected: Tensor, least_norm: float = 0.0) -> float:
    """L2 distance over the L2 norm of ``expected``, or over ``least_norm`` if that is more.

    For integers and truth values it is the share that differs. NaNs and infinities must be the same
    in the same places; otherwise, and for another shape or kind of number, the error is infinite.
    """
    if (
        found.shape != expected.shape
        or found.is_floating_point() is not expected.is_floating_point()
    ):
        return math.inf
    if not expected.numel():
        return 0.0
    if not expected.is_floating_point():
        return float((found != expected).double().mean())
    if not is_as_finite(found, expected):
        return math.inf
    found, expected = finite(found), finite(expected)
    apart, size = norm(found - expected), max(norm(expected), least_norm)
    # The same zeros are no distance apart; any other distance from zeros is infinite.
    return (apart / size if size else math.inf) if apart else 0.0


def is_as_finite(found: Tensor, expected: Tensor) -> bool:
    """Whether NaNs, and infinities of either sign, are in the same places."""
    if found.isfinite().all() and expected.isfinite().all():
        return True
    kinds = (torch.isnan, torch.isposinf, torch.isneginf)
    return all(torch.equal(is_one(found), is_one(expected)) for is_one in kinds)


def finite(tensor: Tensor) -> Tensor:
    """A tensor with zeros in place of what is not finite."""
    return tensor.nan_to_num(0.0, 0.0, 0.0)


def norm(tensor: Tensor) -> float:
    """The L2 norm, in fp64: squares of fp32 overflow early."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))


def rms(leaves: Leaves) -> float:
    """The root mean square of all numbers in floating-point leaves that are finite."""
    tensors = floats(leaves).values()
    count = sum(tensor.numel() for tensor in tensors)
    return math.hypot(*(norm(finite(tensor)) for tensor in tensors)) / math.sqrt(max(count, 1))


def floats(leaves: Leaves) -> dict[str, Tensor]:
    """The leaves that are floating-point tensors."""
    return {
        name: leaf
        for name, leaf in leaves.items()
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
    }
