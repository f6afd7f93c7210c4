import math

import pytest
import torch
from torch import Tensor

from bench.worker.distance import relative_error

NAN, INF = math.nan, math.inf


def vector(*values: float) -> Tensor:
    return torch.tensor(values)


def test_relative_error_is_the_distance_divided_by_the_norm() -> None:
    assert relative_error(vector(3.0, 4.0), vector(3.0, 4.0)) == 0
    assert relative_error(vector(0.0, 0.0), vector(3.0, 4.0)) == 1
    assert relative_error(vector(3.0, 5.0), vector(3.0, 4.0)) == pytest.approx(1 / 5)


def test_the_error_relative_to_zeros_is_zero_or_infinite() -> None:
    zeros = vector(0.0, 0.0)
    assert relative_error(zeros, zeros) == 0
    assert relative_error(vector(0.0, 1e-9), zeros) == math.inf
    assert relative_error(vector(0.0, math.nan), zeros) == math.inf


def test_relative_error_of_another_shape_is_infinite() -> None:
    assert relative_error(vector(1.0), vector(1.0, 1.0)) == math.inf


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ((NAN, 3.0, 5.0), (NAN, 3.0, 4.0), 1 / 5),
        ((INF, -INF, 1.0), (INF, -INF, 1.0), 0.0),
        ((INF, 1.0), (-INF, 1.0), INF),
        ((NAN, 1.0), (INF, 1.0), INF),
        ((1.0, NAN), (NAN, 1.0), INF),
        ((1.0, 1.0), (NAN, 1.0), INF),
        ((NAN, -INF), (NAN, -INF), 0.0),
    ],
)
def test_non_finite_values_must_be_the_same_in_the_same_places(
    actual: tuple[float, ...], expected: tuple[float, ...], error: float
) -> None:
    assert relative_error(vector(*actual), vector(*expected)) == pytest.approx(error)


def test_the_error_of_integers_is_the_share_of_unequal_values() -> None:
    expected = torch.tensor([[1, 2], [3, 4]])
    assert relative_error(torch.tensor([[1, 2], [3, 999]]), expected) == 1 / 4
    booleans = torch.tensor([True, False])
    assert relative_error(~booleans, booleans) == 1
    assert relative_error(expected.float(), expected) == math.inf


def test_norms_do_not_overflow() -> None:
    huge = vector(3e30, 4e30)
    assert relative_error(0.5 * huge, huge) == pytest.approx(0.5)
