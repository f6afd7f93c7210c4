"""Answers: how far a network's answer is from fp32 eager's, leaf by leaf."""

import math
import sys
from functools import partial

import torch
from torch import Tensor

from bench.cells.dtypes import Dtype
from bench.cells.leaves import Leaf, Leaves
from bench.cells.tasks import Answer
from bench.names import RequestError
from bench.worker import distance

# Floors: the least root mean square that a leaf's error is relative to, as a share of that of all
# leaves together.
# Measured on gradients in fp32 (bound 0.2): biases before a batch norm have only rounding, 1e-7 of
# the others (mobilenet_v3_small); their errors are 1 at a floor of 1e-5, 0.1 at 1e-4 and 0.01 at
# 1e-3. The smallest gradients that are more than rounding are 1e-3 of the others (swin_t).
GRADIENT_FLOOR = 1e-3
# Outputs differ in scale on purpose: boxes in hundreds of pixels beside scores of 1e-4. Only what
# is less than one rounding step of fp32 beside the others is measured against them.
OUTPUT_FLOOR = torch.finfo(torch.float32).eps  # 1.2e-7
SHOWN = 40  # characters of a value in a message


Errors = tuple[float, float | None]
"""Error of the outputs, and error of a training step's gradients; None for inference."""


class WrongAnswerError(ValueError):
    """The cell's answer is further from fp32 eager's than its dtype explains."""


def check(found: Answer, expected: Answer, dtype: Dtype, *, is_reference: bool = False) -> Errors:
    """Errors of outputs and gradients, each the largest over its leaves.

    ``is_reference``: ``found`` is fp32 eager's answer too, from another call. Raises
    ``WrongAnswerError`` where an error is past its bound, and ``RequestError`` for values that
    cannot be compared.
    """
    if not any(isinstance(leaf, Tensor) for leaf in expected.outputs.values()):
        raise RequestError(
            "the network's output has no tensor in it, so that its answer cannot be checked: "
            f"it is {_shown(list(expected.outputs.values()))}; return tensors, in mappings, "
            "sequences, named tuples or dataclasses as you like"
        )
    largest = partial(_largest_error, dtype=dtype, is_reference=is_reference)
    if found.gradients is None or expected.gradients is None:
        return largest(found.outputs, expected.outputs, dtype.error_bound, OUTPUT_FLOOR), None
    output_error = largest(found.outputs, expected.outputs, dtype.training_leaf_bound, OUTPUT_FLOOR)
    _check_together(found.outputs, expected.outputs, dtype)
    # Where rounding decorrelates gradients, they must at least be finite.
    bound = sys.float_info.max if dtype.gradient_bound is None else dtype.gradient_bound
    return output_error, largest(found.gradients, expected.gradients, bound, GRADIENT_FLOOR)


def are_close(found: Answer, expected: Answer, dtype: Dtype) -> bool:
    """Whether an answer is within its dtype's bounds."""
    try:
        check(found, expected, dtype)
    except WrongAnswerError:
        return False
    return True


def check_finite(found: Answer, first: Answer) -> None:
    """Raise ``WrongAnswerError`` for an answer that is not finite where the first one was."""
    for leaves, others in (
        (found.outputs, first.outputs),
        (found.gradients or {}, first.gradients or {}),
    ):
        for name in leaves.keys() & others.keys():
            leaf, other = _as_tensor(leaves[name]), _as_tensor(others[name])
            if isinstance(leaf, Tensor) and isinstance(other, Tensor):
                finite = other.isfinite() if leaf.shape == other.shape else other.isfinite().all()
                if (finite & ~leaf.isfinite()).any():
                    raise WrongAnswerError(f"the {name} {_NOT_FINITE}")


def check_different(answer: Answer, other: Answer) -> None:
    """Raise ``WrongAnswerError`` where the outputs for two batches of images are the same.

    Class indices may be, and zeros behind a ReLU: it takes a floating-point value other than zero.
    """
    is_nonzero = any(
        distance.finite(leaf).any() for leaf in distance.floats(answer.outputs).values()
    )
    if is_nonzero and _are_equal(answer.outputs, other.outputs):
        raise WrongAnswerError(
            "the output is the same for different images: either the network keeps it from an "
            "earlier call, or it is constant; have the network compute it anew from each input"
        )


_NOT_FINITE = "has NaNs or infinities in it"


def _largest_error(
    found: Leaves,
    expected: Leaves,
    bound: float,
    floor: float,
    *,
    dtype: Dtype,
    is_reference: bool,
) -> float:
    if found.keys() != expected.keys():
        odd = ", ".join(sorted(found.keys() ^ expected.keys()))
        raise WrongAnswerError(f"{odd} is not both in this answer and in fp32 eager's")
    _refuse_without_finite(expected)
    least_rms = floor * distance.rms(expected)
    largest = 0.0
    for name, leaf in expected.items():
        error = _error(name, found[name], leaf, least_rms)
        if not error <= bound:
            if not isinstance(leaf, Tensor):
                raise _unequal(name, found[name], leaf)
            why = _why(_as_tensor(found[name]), leaf, error, bound, dtype, is_reference)
            raise WrongAnswerError(f"the {name} {why}")
        largest = max(largest, error)
    return largest


def _error(name: str, found: Leaf, expected: Leaf, least_rms: float = 0.0) -> float:
    """The relative error of numbers, and 0 of other values; raises where the latter differ."""
    one, other = _as_tensor(found), _as_tensor(expected)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return distance.relative_error(one, other, least_rms * math.sqrt(other.numel()))
    _check_equal(name, found, expected)
    return 0.0


def _refuse_without_finite(expected: Leaves) -> None:
    """Raise where fp32 eager has floating-point tensors, and no finite value in any of them."""
    floats = {name: leaf for name, leaf in distance.floats(expected).items() if leaf.numel()}
    if floats and not any(leaf.isfinite().any() for leaf in floats.values()):
        raise WrongAnswerError(
            f"the {next(iter(floats))} and all other floating-point tensors of fp32 eager's answer "
            "have no finite value, so that nothing can be compared: give the network weights with "
            "which it answers finite values"
        )


def _are_equal(leaves: Leaves, others: Leaves) -> bool:
    if leaves.keys() != others.keys():
        return False
    try:
        return all(_error(name, leaves[name], others[name]) == 0 for name in leaves)
    except WrongAnswerError:
        return False


def _check_together(found: Leaves, expected: Leaves, dtype: Dtype) -> None:
    """Hold all floating-point leaves together, as one vector, to the bound of outputs."""
    pairs = [
        (distance.finite(one), distance.finite(other))
        for one, other in (
            (_as_tensor(found[name]), _as_tensor(expected[name])) for name in expected
        )
        if isinstance(one, Tensor) and one.is_floating_point()
    ]
    norm = math.hypot(*(distance.norm(other) for _, other in pairs))
    error = math.hypot(*(distance.norm(one - other) for one, other in pairs)) / (norm or math.inf)
    if error > dtype.error_bound:
        raise WrongAnswerError(
            f"the outputs and the loss together are {error:.2g} away from fp32 eager's (relative "
            f"L2 distance); {dtype.name} explains at most {dtype.error_bound:g}"
        )


def _why(
    found: Tensor, expected: Tensor, error: float, bound: float, dtype: Dtype, is_reference: bool
) -> str:
    """Why a leaf is wrong: what follows its name in a sentence."""
    if found.shape != expected.shape:
        return f"has the shape {_shape(found)}, and fp32 eager's has {_shape(expected)}"
    if found.is_floating_point() is not expected.is_floating_point():
        return f"is of {found.dtype}, and fp32 eager's of {expected.dtype}"
    if not distance.is_as_finite(found, expected):
        is_finite = bool(found.isfinite().all())
        return f"is finite where fp32 eager's {_NOT_FINITE}" if is_finite else _NOT_FINITE
    how = "relative L2 distance" if found.is_floating_point() else "share of values that differ"
    if is_reference:
        return (
            f"differs from call to call, by {error:.2g} ({how}): this is fp32 eager, and nothing "
            "can be compared with what is not the same twice"
        )
    return f"is {error:.2g} away from fp32 eager's ({how}); {dtype.name} explains at most {bound:g}"


def _check_equal(name: str, found: Leaf, expected: Leaf) -> None:
    """Raise where two values that are not both tensors differ, or cannot be compared."""
    if found is expected:
        return
    try:
        is_equal = bool(found == expected)
    except Exception as error:
        raise _incomparable(name, expected) from error
    if is_equal:
        return
    comparison: object = type(expected).__eq__
    if type(found) is type(expected) and comparison is object.__eq__:
        raise _incomparable(name, expected)
    raise _unequal(name, found, expected)


def _incomparable(name: str, leaf: Leaf) -> RequestError:
    return RequestError(
        f"the {name} is of type {type(leaf).__name__}, and two of them cannot be compared: return "
        "tensors, nested as you like, or give the type an __eq__ that returns a bool"
    )


def _unequal(name: str, found: Leaf, expected: Leaf) -> WrongAnswerError:
    return WrongAnswerError(
        f"the {name} is {_shown(found)}, and fp32 eager's is {_shown(expected)}"
    )


def _shown(leaf: Leaf) -> str:
    return repr(leaf) if len(repr(leaf)) <= SHOWN else f"{repr(leaf)[:SHOWN]}…"


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "of one number"


def _as_tensor(leaf: Leaf) -> Leaf:
    """A float as a tensor of one; any other leaf as it is."""
    if isinstance(leaf, complex):
        leaf = [leaf.real, leaf.imag]
    elif not isinstance(leaf, float):
        return leaf
    return torch.tensor(leaf, dtype=torch.float64)
