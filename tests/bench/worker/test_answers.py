import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.cells import inputs
from bench.cells.dtypes import DTYPES
from bench.cells.tasks import Answer
from bench.worker import answers
from bench.worker.answers import WrongAnswerError
from tests.bench import tiny

FP32, BF16 = DTYPES["fp32"], DTYPES["bf16"]
IMAGE_SIZE = 16


def vector(*values: float) -> Tensor:
    return torch.tensor(values)


def test_relative_error_is_a_distance_over_a_norm() -> None:
    assert answers.relative_error(vector(3.0, 4.0), vector(3.0, 4.0)) == 0
    assert answers.relative_error(vector(0.0, 0.0), vector(3.0, 4.0)) == 1
    assert answers.relative_error(vector(3.0, 5.0), vector(3.0, 4.0)) == pytest.approx(1 / 5)


def test_zeros_are_only_themselves() -> None:
    zeros = vector(0.0, 0.0)
    assert answers.relative_error(zeros, zeros) == 0
    assert answers.relative_error(vector(0.0, 1e-9), zeros) == math.inf
    assert math.isnan(answers.relative_error(vector(0.0, math.nan), zeros))


def test_relative_error_of_another_shape_is_infinite() -> None:
    assert answers.relative_error(vector(1.0), vector(1.0, 1.0)) == math.inf


def test_check_returns_the_errors() -> None:
    expected = Answer(outputs=vector(3.0, 4.0), gradients=vector(1.0))
    found = Answer(outputs=vector(3.0, 4.0 + 5e-4), gradients=vector(1.1))
    output_error, gradient_error = answers.check(found, expected, FP32)
    assert output_error == pytest.approx(1e-4, rel=1e-2)
    assert gradient_error == pytest.approx(0.1, rel=1e-5)


def test_inference_has_no_gradient_error() -> None:
    same = Answer(outputs=vector(1.0), gradients=None)
    assert answers.check(same, same, FP32) == (0.0, None)


AWAY = r"is .* away from fp32 eager's"
NO_NUMBER = "has NaNs or infinities in it"


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (vector(1.0 + 2 * FP32.error_bound), rf"{AWAY} .*; fp32 explains 0\.001"),
        (vector(1.0, 1.0), AWAY),
        (vector(math.nan), NO_NUMBER),
        (vector(math.inf), NO_NUMBER),
    ],
)
def test_a_wrong_output_is_refused(outputs: Tensor, says: str) -> None:
    found = Answer(outputs=outputs, gradients=None)
    expected = Answer(outputs=vector(1.0), gradients=None)
    with pytest.raises(WrongAnswerError, match=f"the output {says}"):
        answers.check(found, expected, FP32)


@pytest.mark.parametrize(("gradient", "says"), [(1.5, AWAY), (math.nan, NO_NUMBER)])
def test_a_wrong_gradient_is_refused(gradient: float, says: str) -> None:
    expected = Answer(outputs=vector(1.0), gradients=vector(1.0))
    found = replace(expected, gradients=vector(gradient))
    with pytest.raises(WrongAnswerError, match=f"the gradient {says}"):
        answers.check(found, expected, FP32)


def test_a_gradient_that_rounding_explains_is_only_reported() -> None:
    expected = Answer(outputs=vector(1.0), gradients=vector(1.0))
    found = replace(expected, gradients=vector(1.5))
    assert BF16.gradient_bound is None
    assert answers.check(found, expected, BF16) == (0.0, 0.5)


def test_a_gradient_that_is_no_number_is_refused_in_every_dtype() -> None:
    expected = Answer(outputs=vector(1.0), gradients=vector(1.0))
    found = replace(expected, gradients=vector(math.nan))
    with pytest.raises(WrongAnswerError):
        answers.check(found, expected, BF16)


def test_each_dtype_has_its_own_bound() -> None:
    error = (FP32.error_bound + BF16.error_bound) / 2
    found = Answer(outputs=vector(1 + error), gradients=None)
    expected = Answer(outputs=vector(1.0), gradients=None)
    assert answers.check(found, expected, BF16)[0] == pytest.approx(error, rel=1e-5)
    with pytest.raises(WrongAnswerError):
        answers.check(found, expected, FP32)


def images(seed: int) -> Tensor:
    torch.manual_seed(seed)
    return inputs.random_images(2, IMAGE_SIZE)


def norm_of(model: nn.Module) -> nn.BatchNorm2d:
    (norm,) = (part for part in model.modules() if isinstance(part, nn.BatchNorm2d))
    return norm


@pytest.mark.parametrize("batch_size", [1, 2])
def test_calibration_gives_batch_norm_statistics_and_restores_momentum(batch_size: int) -> None:
    torch.manual_seed(0)
    model = tiny.net()
    norm = norm_of(model)
    norm.momentum = 0.25
    answers.calibrate(model, inputs.random_images(batch_size, IMAGE_SIZE))
    assert norm.momentum == 0.25
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.abs().min() > 0
    assert (norm.running_var - 1).abs().min() > 1e-3
    assert norm.num_batches_tracked == 1


def test_calibration_takes_the_statistics_of_the_whole_batch() -> None:
    """Normalised by them, the batch that they were taken of has mean 0 and variance 1."""
    torch.manual_seed(0)
    model = tiny.net()
    images = inputs.random_images(2, IMAGE_SIZE)
    state = torch.get_rng_state()
    answers.calibrate(model, images)
    torch.set_rng_state(state)
    batch = inputs.random_images(2, IMAGE_SIZE)
    assert isinstance(model, nn.Sequential)
    with torch.no_grad():
        out = model.eval()[:2](batch)
    assert out.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert out.var(dim=(0, 2, 3)).sub(1).abs().max() < 1e-2


def test_a_network_without_batch_norm_is_left_alone() -> None:
    model = nn.Flatten().eval()
    answers.calibrate(model, images(0))
    assert not model.training


def test_matrices_of_zeros_are_drawn_and_nothing_else() -> None:
    torch.manual_seed(0)
    head = nn.Linear(5, 6)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(4), nn.Linear(4, 5), head)
    before = {name: value.clone() for name, value in model.named_parameters()}
    answers.draw_zeros(model)
    changed = [
        name for name, value in model.named_parameters() if not torch.equal(value, before[name])
    ]
    assert changed == ["3.weight"]
    assert head.weight.count_nonzero() == head.weight.numel()
    assert head.weight.abs().max() <= 1 / math.sqrt(5)  # as nn.Linear's own


def test_what_takes_its_shape_from_the_first_images_is_left_to_them() -> None:
    model = nn.LazyConv2d(4, 3)
    answers.draw_zeros(model)
    assert model(images(0)).shape[1] == 4
