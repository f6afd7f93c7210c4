"""Distances between tensors, and norms of tensors and leaves."""

import math

import torch
from torch import Tensor

from bench.cells.leaves import Leaves


def relative_error(actual: Tensor, expected: Tensor, min_norm: float = 0.0) -> float:
    """Return the L2 distance divided by the larger of ``expected``'s L2 norm and ``min_norm``.

    For integers and booleans, return the share of unequal values. The error is infinite if NaNs and
    infinities are not the same in the same places, or if the shape or the kind of number differs.
    """
    if (
        actual.shape != expected.shape
        or actual.is_floating_point() is not expected.is_floating_point()
    ):
        return math.inf
    if not expected.numel():
        return 0.0
    if not expected.is_floating_point():
        return float((actual != expected).double().mean())
    if not is_as_finite(actual, expected):
        return math.inf
    actual, expected = finite(actual), finite(expected)
    difference, size = norm(actual - expected), max(norm(expected), min_norm)
    # If the norm is 0, the error is 0 for equal tensors and infinite otherwise.
    return (difference / size if size else math.inf) if difference else 0.0


def is_as_finite(actual: Tensor, expected: Tensor) -> bool:
    """Return whether NaNs, and infinities of the same sign, are in the same places."""
    if actual.isfinite().all() and expected.isfinite().all():
        return True
    kinds = (torch.isnan, torch.isposinf, torch.isneginf)
    return all(torch.equal(is_kind(actual), is_kind(expected)) for is_kind in kinds)


def finite(tensor: Tensor) -> Tensor:
    """Return a tensor with zeros in place of values that are not finite."""
    return tensor.nan_to_num(0.0, 0.0, 0.0)


def norm(tensor: Tensor) -> float:
    """Return the L2 norm, computed in fp64 because squares of fp32 overflow early."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))


def rms(leaves: Leaves) -> float:
    """Return the root mean square over all floating-point leaves; non-finite values count as 0."""
    tensors = floats(leaves).values()
    count = sum(tensor.numel() for tensor in tensors)
    return math.hypot(*(norm(finite(tensor)) for tensor in tensors)) / math.sqrt(max(count, 1))


def floats(leaves: Leaves) -> dict[str, Tensor]:
    """Return the leaves that are floating-point tensors."""
    return {
        name: leaf
        for name, leaf in leaves.items()
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
    }
