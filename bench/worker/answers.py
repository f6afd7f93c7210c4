"""Answers: how far a network's are from fp32 eager's, and weights that hide no wrong one."""

import math
import sys
from functools import partial

import torch
from torch import Tensor, nn

from bench.cells import inputs
from bench.cells.dtypes import Dtype
from bench.cells.tasks import Answer, Task

# Two images at least: batch norm cannot take statistics of one value.
CALIBRATION_IMAGES = 2


class WrongAnswerError(ValueError):
    """The cell's answer is further from fp32 eager's than its dtype explains."""


def draw_zeros(model: nn.Module) -> None:
    """Draw matrices and kernels that are all zero, as PyTorch draws those of linear layers.

    A classifier that begins at zero, as ViT's does, answers zero whatever comes before it.
    """
    for parameter in model.parameters():
        if parameter.ndim > 1 and parameter.is_floating_point() and not parameter.any():
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5))


def calibrate(model: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of random images.

    An untrained batch norm has mean 0 and variance 1: almost the identity, which would hide a
    compiler that folds it wrongly.
    """
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the statistics of this batch, not a step towards them
        norm.train()
    batch = inputs.random_images(CALIBRATION_IMAGES, images.shape[-1])
    with torch.no_grad():
        model.train()(batch.to(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def of(task: Task) -> Answer:
    """A task's answer."""
    with task.context():
        return task.answer()


def check(
    found: Answer, expected: Answer, dtype: Dtype, *, is_reference: bool = False
) -> tuple[float, float | None]:
    """Errors of outputs and gradients; raises ``WrongAnswerError`` where one is past its bound.

    ``is_reference``: what was found is fp32 eager's answer too, of another call.
    """
    bounded = partial(_bounded, dtype=dtype, is_reference=is_reference)
    output_error = bounded("output", found.outputs, expected.outputs, dtype.error_bound)
    if found.gradients is None or expected.gradients is None:
        return output_error, None
    # Where rounding decorrelates gradients, they must at least be of some size: no NaN.
    bound = sys.float_info.max if dtype.gradient_bound is None else dtype.gradient_bound
    return output_error, bounded("gradient", found.gradients, expected.gradients, bound)


def _bounded(
    what: str, found: Tensor, expected: Tensor, bound: float, *, dtype: Dtype, is_reference: bool
) -> float:
    error = relative_error(found, expected)
    if error <= bound:  # not "error > bound" below: a NaN must not pass
        return error
    if not found.isfinite().all():
        raise WrongAnswerError(f"the {what} has NaNs or infinities in it")
    if is_reference:
        raise WrongAnswerError(
            f"the {what} differs from call to call, by {error:.2g} (relative L2 distance): this is "
            "fp32 eager, and nothing can be compared with what is not the same twice"
        )
    raise WrongAnswerError(
        f"the {what} is {error:.2g} away from fp32 eager's (relative L2 distance); "
        f"{dtype.name} explains {bound:g} at the most"
    )


def relative_error(found: Tensor, expected: Tensor) -> float:
    """L2 distance over the L2 norm of what was expected; infinite for another shape."""
    if found.shape != expected.shape:
        return float("inf")
    distance = torch.linalg.vector_norm(found - expected)
    # The same zeros are no distance apart; a NaN is no zero.
    return float(distance / torch.linalg.vector_norm(expected)) if distance else 0.0
