import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.cells import leaves
from bench.cells.dtypes import DTYPES, Dtype
from bench.cells.tasks import Answer
from bench.names import RequestError
from bench.worker import answers
from bench.worker.answers import GRADIENT_FLOOR, OUTPUT_FLOOR, WrongAnswerError

FP32, BF16 = DTYPES["fp32"], DTYPES["bf16"]


def vector(*values: float) -> Tensor:
    return torch.tensor(values)


def answer(output: Any, gradient: Tensor | None = None) -> Answer:
    return Answer(
        outputs=leaves.flatten(output, "output"),
        gradients=None if gradient is None else leaves.flatten(gradient, "gradient"),
    )


def test_check_returns_the_errors() -> None:
    expected = answer(vector(3.0, 4.0), vector(1.0))
    found = answer(vector(3.0, 4.0 + 5e-4), vector(1.1))
    output_error, gradient_error = answers.check(found, expected, FP32)
    assert output_error == pytest.approx(1e-4, rel=1e-2)
    assert gradient_error == pytest.approx(0.1, rel=1e-5)


def test_inference_has_no_gradient_error() -> None:
    same = answer(vector(1.0))
    assert answers.check(same, same, FP32) == (0.0, None)


AWAY = r"is .* away from fp32 eager's"
NO_NUMBER = "has NaNs or infinities in it"


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (vector(1.0 + 2 * FP32.error_bound), rf"{AWAY} .*; fp32 explains at most 0\.001"),
        (vector(1.0, 1.0), "has the shape 2"),
        (vector(math.nan), NO_NUMBER),
        (vector(math.inf), NO_NUMBER),
    ],
)
def test_a_wrong_output_is_refused(outputs: Tensor, says: str) -> None:
    found = answer(outputs)
    expected = answer(vector(1.0))
    with pytest.raises(WrongAnswerError, match=f"the output {says}"):
        answers.check(found, expected, FP32)


@pytest.mark.parametrize(("gradient", "says"), [(1.5, AWAY), (math.nan, NO_NUMBER)])
def test_a_wrong_gradient_is_refused(gradient: float, says: str) -> None:
    expected = answer(vector(1.0), vector(1.0))
    found = answer(vector(1.0), vector(gradient))
    with pytest.raises(WrongAnswerError, match=f"the gradient {says}"):
        answers.check(found, expected, FP32)


def test_a_gradient_that_rounding_explains_is_only_reported() -> None:
    expected = answer(vector(1.0), vector(1.0))
    found = answer(vector(1.0), vector(1.5))
    assert BF16.gradient_bound is None
    assert answers.check(found, expected, BF16) == (0.0, 0.5)


def test_a_gradient_that_is_no_number_is_refused_in_every_dtype() -> None:
    expected = answer(vector(1.0), vector(1.0))
    found = answer(vector(1.0), vector(math.nan))
    with pytest.raises(WrongAnswerError):
        answers.check(found, expected, BF16)


def test_each_dtype_has_its_own_bound() -> None:
    error = (FP32.error_bound + BF16.error_bound) / 2
    found = answer(vector(1 + error))
    expected = answer(vector(1.0))
    assert answers.check(found, expected, BF16)[0] == pytest.approx(error, rel=1e-5)
    with pytest.raises(WrongAnswerError):
        answers.check(found, expected, FP32)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("other", [torch.full((3,), -INF), torch.full((3,), NAN), NAN])
def test_a_leaf_without_finite_values_is_right_where_both_have_the_same(other: Any) -> None:
    y = vector(1.0, 2.0)
    expected = answer((y, other))
    assert answers.check(answer((y, other)), expected, FP32) == (0.0, None)
    with pytest.raises(WrongAnswerError, match=r"the output\[1\] is "):
        answers.check(answer((y, 1.0 if other is NAN else other.nan_to_num())), expected, FP32)


def test_an_answer_without_any_finite_value_is_refused() -> None:
    expected = answer((vector(NAN, NAN), vector(-INF), torch.tensor([1])))
    with pytest.raises(WrongAnswerError, match=r"the output\[0\] and all other .* no finite value"):
        answers.check(expected, expected, FP32)


def test_empty_tensors_need_no_finite_value() -> None:
    nothing = answer((torch.empty(0, 4), torch.empty(0).long()))
    assert answers.check(nothing, nothing, FP32) == (0.0, None)


def test_the_error_is_the_largest_over_leaves() -> None:
    """Over all numbers together it would be about 0.5e-6."""
    expected = answer({"boxes": vector(1e3, 0.0), "scores": vector(1.0)})
    found = answer({"boxes": vector(1e3, 0.0), "scores": vector(1.0 + 5e-4)})
    assert answers.check(found, expected, FP32)[0] == pytest.approx(5e-4, rel=1e-3)
    wrong = answer({"boxes": vector(1e3, 0.0), "scores": vector(2.0)})
    with pytest.raises(WrongAnswerError, match=r"the output\['scores'\] is 1 away"):
        answers.check(wrong, expected, BF16)


@pytest.mark.parametrize("dtype", [FP32, BF16])
@pytest.mark.parametrize("gradient", [None, vector(1.0)])
def test_a_small_output_that_is_wrong_is_found_beside_a_large_one(
    dtype: Dtype, gradient: Tensor | None
) -> None:
    boxes, scores = torch.full((2, 4), 640.0), vector(1e-4, 2e-4)
    expected = answer({"boxes": boxes, "scores": scores}, gradient)
    for wrong in (3 * scores.flip(0), 500 * scores, torch.zeros(2)):
        with pytest.raises(WrongAnswerError, match=r"the output\['scores'\] is .* away"):
            answers.check(answer({"boxes": boxes, "scores": wrong}, gradient), expected, dtype)


def test_an_output_that_is_nearly_zero_is_measured_against_the_others() -> None:
    """The root mean square of 1 and 0 is 1 / sqrt(2)."""
    expected, found = answer((vector(1.0), vector(0.0))), answer((vector(1.0), vector(1e-11)))
    error, _ = answers.check(found, expected, FP32)
    assert error == pytest.approx(1e-11 * math.sqrt(2) / OUTPUT_FLOOR)


def test_a_gradient_that_is_nearly_zero_is_measured_against_the_others() -> None:
    one = vector(1.0)
    expected = Answer(outputs={"output": one}, gradients={"w": one, "bias": vector(0.0)})
    found = replace(expected, gradients={"w": one, "bias": vector(1e-7)})
    _, error = answers.check(found, expected, FP32)
    assert error == pytest.approx(1e-7 * math.sqrt(2) / GRADIENT_FLOOR)


def test_a_wrong_imaginary_part_is_found() -> None:
    expected = answer(torch.complex(vector(3.0), vector(4.0)))
    conjugate = answer(torch.complex(vector(3.0), vector(4.0)).conj())
    assert answers.check(expected, expected, FP32)[0] == 0
    with pytest.raises(WrongAnswerError, match=rf"is {8 / 5} away"):
        answers.check(conjugate, expected, FP32)


@pytest.mark.parametrize(
    ("found", "expected", "says"),
    [
        ("dog", "cat", r"the output\[1\] is 'dog', and fp32 eager's is 'cat'"),
        (3, 4, r"the output\[1\] is 3, and fp32 eager's is 4"),
        (2.0, 1.0, r"the output\[1\] is 2.0, and fp32 eager's is 1.0"),
        (None, 1, r"the output\[1\] is None, and fp32 eager's is 1"),
        (vector(1.0), None, r"the output\[1\] is tensor\(\[1.\]\), and fp32 eager's is None"),
        (vector(1.0, 1.0), vector(1.0), r"the output\[1\] has the shape 2, .* eager's has 1"),
        (vector(1.0), torch.tensor([1]), r"the output\[1\] is of torch.float32, .* torch.int64"),
        ({"a": 1}, {"b": 1}, r"output\[1\]\['a'\], output\[1\]\['b'\]"),
    ],
)
def test_a_leaf_that_differs_is_named(found: Any, expected: Any, says: str) -> None:
    ones = vector(1.0)
    with pytest.raises(WrongAnswerError, match=says):
        answers.check(answer((ones, found)), answer((ones, expected)), FP32)


def test_floats_are_compared_as_tensors_and_other_values_must_be_equal() -> None:
    found = answer({"x": vector(1.0), "float": 1.0 + 1e-4, "name": "cat", "none": None, "int": 3})
    expected = answer({"x": vector(1.0), "float": 1.0, "name": "cat", "none": None, "int": 3})
    assert answers.check(found, expected, FP32)[0] == pytest.approx(1e-4)


class Opaque:
    """A value that only is equal to itself."""


def test_what_cannot_be_compared_is_refused_with_its_type() -> None:
    with pytest.raises(RequestError, match=r"the output\[1\] is of type Opaque, .* __eq__"):
        answers.check(answer((vector(1.0), Opaque())), answer((vector(1.0), Opaque())), FP32)


@pytest.mark.parametrize("output", [(), 3, {"label": "cat"}])
def test_an_output_without_a_tensor_is_refused(output: Any) -> None:
    with pytest.raises(RequestError, match=r"has no tensor in it.* dataclasses"):
        answers.check(answer(output), answer(output), FP32)


def test_an_answer_must_be_finite_where_the_first_was() -> None:
    first = answer(vector(NAN, 1.0, 2.0), vector(1.0))
    answers.check_finite(answer(vector(NAN, 9.0, 9.0), vector(9.0)), first)
    answers.check_finite(answer(vector(1.0, 9.0, 9.0), vector(9.0)), first)
    with pytest.raises(WrongAnswerError, match="the output has NaNs or infinities in it"):
        answers.check_finite(answer(vector(NAN, NAN, 2.0), vector(1.0)), first)
    with pytest.raises(WrongAnswerError, match="the gradient has NaNs or infinities in it"):
        answers.check_finite(answer(vector(NAN, 1.0, 2.0), vector(INF)), first)


def test_a_training_steps_outputs_keep_the_bound_of_outputs_together() -> None:
    far = (BF16.error_bound + BF16.training_leaf_bound) / 2
    gradient = vector(1.0)
    expected = answer([vector(1.0, 0.0), vector(0.1, 0.0)], gradient)
    small_is_far = answer([vector(1.0, 0.0), vector(0.1, 0.1 * far)], gradient)
    output_error, gradient_error = answers.check(small_is_far, expected, BF16)
    assert output_error == pytest.approx(far)
    assert gradient_error == 0
    both_are_far = answer([vector(1.0, far), vector(0.1, 0.1 * far)], gradient)
    with pytest.raises(WrongAnswerError, match=f"{far:.2g} away"):
        answers.check(both_are_far, expected, BF16)


SAME = "the output is the same for different images: .* compute it anew"


@pytest.mark.parametrize(
    "output",
    [
        vector(1.0, 0.0),
        {"logits": vector(NAN, 1.0), "name": "cat", "index": torch.tensor([3])},
    ],
)
def test_answers_to_different_images_may_not_be_the_same(output: Any) -> None:
    with pytest.raises(WrongAnswerError, match=SAME):
        answers.check_different(answer(output), answer(output))
    answers.check_different(answer((output, "a")), answer((output, "b")))
    answers.check_different(answer((output, vector(1.0))), answer((output, vector(1.0 + 1e-6))))
    answers.check_different(answer((output, None)), answer((output, vector(1.0))))
    answers.check_different(answer([output]), answer([output, output]))


@pytest.mark.parametrize(
    "output", [torch.tensor([3]), vector(0.0, 0.0), (vector(0.0), 0.5), vector(NAN, -INF), "cat"]
)
def test_class_indices_and_zeros_may_be_the_same_for_different_images(output: Any) -> None:
    answers.check_different(answer(output), answer(output))
