"""Comparison of a network's answer with the answer of fp32 eager, leaf by leaf."""

import math
import sys
from functools import partial

import torch
from torch import Tensor

from bench.cells.dtypes import Dtype
from bench.cells.leaves import Leaf, Leaves
from bench.cells.tasks import Answer
from bench.errors import RequestError
from bench.worker import distance

# A leaf's error is relative to its own root mean square (RMS), but at least to this share of the
# RMS over all leaves.
# Measured on gradients in fp32 (bound 0.2): the gradients of biases before a batch norm are only
# rounding, 1e-7 of the other gradients (mobilenet_v3_small). Their errors are 1 with a floor of
# 1e-5, 0.1 with 1e-4 and 0.01 with 1e-3. The smallest gradients that are more than rounding are
# 1e-3 of the other gradients (swin_t).
GRADIENT_FLOOR = 1e-3
# Outputs may differ in scale on purpose: boxes in hundreds of pixels and scores of 1e-4. So this
# floor is one rounding step of fp32 relative to the RMS over all outputs.
OUTPUT_FLOOR = torch.finfo(torch.float32).eps  # 1.2e-7
MAX_SHOWN = 40  # characters of a value in a message


Errors = tuple[float, float | None]
"""Error of the outputs, and error of the gradients in training (None for inference)."""


class WrongAnswerError(ValueError):
    """The cell's answer differs from fp32 eager's by more than its dtype allows."""


def check(actual: Answer, expected: Answer, dtype: Dtype, *, is_reference: bool = False) -> Errors:
    """Return the errors of outputs and gradients, each the largest over its leaves.

    ``is_reference`` says that ``actual`` is also an answer of fp32 eager, from another call. Raises
    ``WrongAnswerError`` if an error exceeds its bound, and ``RequestError`` for values that cannot
    be compared.
    """
    if not any(isinstance(leaf, Tensor) for leaf in expected.outputs.values()):
        raise RequestError(
            "the network's output contains no tensor, so its answer cannot be checked: "
            f"it is {_shown(list(expected.outputs.values()))}; return tensors; they may be nested "
            "in mappings, sequences, named tuples or dataclasses"
        )
    largest = partial(_largest_error, dtype=dtype, is_reference=is_reference)
    if actual.gradients is None or expected.gradients is None:
        return largest(actual.outputs, expected.outputs, dtype.error_bound, OUTPUT_FLOOR), None
    output_error = largest(
        actual.outputs, expected.outputs, dtype.training_leaf_bound, OUTPUT_FLOOR
    )
    _check_together(actual.outputs, expected.outputs, dtype)
    # If rounding decorrelates the gradients (no bound), they must at least be finite.
    bound = sys.float_info.max if dtype.gradient_bound is None else dtype.gradient_bound
    return output_error, largest(actual.gradients, expected.gradients, bound, GRADIENT_FLOOR)


def are_close(actual: Answer, expected: Answer, dtype: Dtype) -> bool:
    """Return whether an answer is within the bounds of its dtype."""
    try:
        check(actual, expected, dtype)
    except WrongAnswerError:
        return False
    return True


def check_finite(actual: Answer, first: Answer) -> None:
    """Raise ``WrongAnswerError`` if a value is not finite that is finite in ``first``."""
    for leaves, first_leaves in (
        (actual.outputs, first.outputs),
        (actual.gradients or {}, first.gradients or {}),
    ):
        for name in leaves.keys() & first_leaves.keys():
            leaf, other = _as_tensor(leaves[name]), _as_tensor(first_leaves[name])
            if isinstance(leaf, Tensor) and isinstance(other, Tensor):
                finite = other.isfinite() if leaf.shape == other.shape else other.isfinite().all()
                if (finite & ~leaf.isfinite()).any():
                    raise WrongAnswerError(f"the {name} {_NOT_FINITE}")


def check_different(answer: Answer, other: Answer) -> None:
    """Raise ``WrongAnswerError`` if the outputs for two batches of images are the same.

    Class indices, and zeros after a ReLU, may be the same for different images. So the outputs must
    contain a finite floating-point value other than zero for an error.
    """
    is_nonzero = any(
        distance.finite(leaf).any() for leaf in distance.floats(answer.outputs).values()
    )
    if is_nonzero and _are_equal(answer.outputs, other.outputs):
        raise WrongAnswerError(
            "the output is the same for different images: the network caches it from an earlier "
            "call, or it is constant; make the network compute its output from each input"
        )


_NOT_FINITE = "contains NaNs or infinities"


def _largest_error(
    actual: Leaves,
    expected: Leaves,
    bound: float,
    floor: float,
    *,
    dtype: Dtype,
    is_reference: bool,
) -> float:
    if actual.keys() != expected.keys():
        unmatched = ", ".join(sorted(actual.keys() ^ expected.keys()))
        raise WrongAnswerError(f"only one of this answer and fp32 eager's contains {unmatched}")
    _refuse_without_finite(expected)
    min_rms = floor * distance.rms(expected)
    largest = 0.0
    for name, leaf in expected.items():
        error = _error(name, actual[name], leaf, min_rms)
        if not error <= bound:
            if not isinstance(leaf, Tensor):
                raise _unequal(name, actual[name], leaf)
            reason = _reason(_as_tensor(actual[name]), leaf, error, bound, dtype, is_reference)
            raise WrongAnswerError(f"the {name} {reason}")
        largest = max(largest, error)
    return largest


def _error(name: str, actual: Leaf, expected: Leaf, min_rms: float = 0.0) -> float:
    """Return the relative error of numbers, and 0 for equal other values.

    Raises if values that are not numbers differ.
    """
    left, right = _as_tensor(actual), _as_tensor(expected)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return distance.relative_error(left, right, min_rms * math.sqrt(right.numel()))
    _check_equal(name, actual, expected)
    return 0.0


def _refuse_without_finite(expected: Leaves) -> None:
    """Raise if fp32 eager has floating-point tensors and all their values are not finite."""
    floats = {name: leaf for name, leaf in distance.floats(expected).items() if leaf.numel()}
    if floats and not any(leaf.isfinite().any() for leaf in floats.values()):
        raise WrongAnswerError(
            f"the {next(iter(floats))} and all other floating-point tensors of fp32 eager's answer "
            "have no finite value, so nothing can be compared: give the network weights for which "
            "its output is finite"
        )


def _are_equal(leaves: Leaves, others: Leaves) -> bool:
    if leaves.keys() != others.keys():
        return False
    try:
        return all(_error(name, leaves[name], others[name]) == 0 for name in leaves)
    except WrongAnswerError:
        return False


def _check_together(actual: Leaves, expected: Leaves, dtype: Dtype) -> None:
    """Raise if all floating-point leaves, taken as one vector, exceed the bound of outputs."""
    pairs = [
        (distance.finite(left), distance.finite(right))
        for left, right in (
            (_as_tensor(actual[name]), _as_tensor(expected[name])) for name in expected
        )
        if isinstance(left, Tensor) and left.is_floating_point()
    ]
    norm = math.hypot(*(distance.norm(right) for _, right in pairs))
    error = math.hypot(*(distance.norm(left - right) for left, right in pairs)) / (norm or math.inf)
    if error > dtype.error_bound:
        raise WrongAnswerError(
            f"the outputs and the loss together differ from fp32 eager's by {error:.2g} (relative "
            f"L2 distance); {dtype.name} allows at most {dtype.error_bound:g}"
        )


def _reason(
    actual: Tensor, expected: Tensor, error: float, bound: float, dtype: Dtype, is_reference: bool
) -> str:
    """Return why a leaf is wrong, as the part of a sentence that follows its name."""
    if actual.shape != expected.shape:
        return f"has the shape {_shape(actual)}, but fp32 eager's has the shape {_shape(expected)}"
    if actual.is_floating_point() is not expected.is_floating_point():
        return f"has the dtype {actual.dtype}, but fp32 eager's has {expected.dtype}"
    if not distance.is_as_finite(actual, expected):
        is_finite = bool(actual.isfinite().all())
        return f"is finite, but fp32 eager's {_NOT_FINITE}" if is_finite else _NOT_FINITE
    measure = "relative L2 distance" if actual.is_floating_point() else "share of unequal values"
    if is_reference:
        return (
            f"differs from call to call, by {error:.2g} ({measure}): this is fp32 eager, the "
            "reference for every other cell, so its answer must be reproducible"
        )
    return (
        f"differs from fp32 eager's by {error:.2g} ({measure}); "
        f"{dtype.name} allows at most {bound:g}"
    )


def _check_equal(name: str, actual: Leaf, expected: Leaf) -> None:
    """Raise if two values that are not both tensors differ, or cannot be compared."""
    if actual is expected:
        return
    try:
        is_equal = bool(actual == expected)
    except Exception as error:
        raise _incomparable(name, expected) from error
    if is_equal:
        return
    comparison: object = type(expected).__eq__
    if type(actual) is type(expected) and comparison is object.__eq__:
        raise _incomparable(name, expected)
    raise _unequal(name, actual, expected)


def _incomparable(name: str, leaf: Leaf) -> RequestError:
    return RequestError(
        f"the {name} has the type {type(leaf).__name__}, whose values cannot be compared: return "
        "tensors, which may be nested, or define an __eq__ that returns a bool"
    )


def _unequal(name: str, actual: Leaf, expected: Leaf) -> WrongAnswerError:
    return WrongAnswerError(
        f"the {name} is {_shown(actual)}, but fp32 eager's is {_shown(expected)}"
    )


def _shown(leaf: Leaf) -> str:
    return repr(leaf) if len(repr(leaf)) <= MAX_SHOWN else f"{repr(leaf)[:MAX_SHOWN]}…"


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "of a scalar"


def _as_tensor(leaf: Leaf) -> Leaf:
    """Return a float or complex number as a tensor, and any other leaf unchanged."""
    if isinstance(leaf, complex):
        leaf = [leaf.real, leaf.imag]
    elif not isinstance(leaf, float):
        return leaf
    return torch.tensor(leaf, dtype=torch.float64)
