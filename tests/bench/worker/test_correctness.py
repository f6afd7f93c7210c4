import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.cells import leaves
from bench.cells.dtypes import DTYPES, Dtype
from bench.cells.tasks import Answer
from bench.errors import RequestError
from bench.worker import correctness
from bench.worker.correctness import GRADIENT_FLOOR, OUTPUT_FLOOR, WrongAnswerError

FP32, BF16 = DTYPES["fp32"], DTYPES["bf16"]


def vector(*values: float) -> Tensor:
    return torch.tensor(values)


def answer(output: Any, gradient: Tensor | None = None) -> Answer:
    return Answer(
        outputs=leaves.flatten(output, "output"),
        gradients=None if gradient is None else leaves.flatten(gradient, "gradient"),
    )


def test_check_returns_output_and_gradient_errors() -> None:
    expected = answer(vector(3.0, 4.0), vector(1.0))
    actual = answer(vector(3.0, 4.0 + 5e-4), vector(1.1))
    output_error, gradient_error = correctness.check(actual, expected, FP32)
    assert output_error == pytest.approx(1e-4, rel=1e-2)
    assert gradient_error == pytest.approx(0.1, rel=1e-5)


def test_inference_has_no_gradient_error() -> None:
    same = answer(vector(1.0))
    assert correctness.check(same, same, FP32) == (0.0, None)


DIFFERS = r"differs from fp32 eager's by "
NOT_FINITE = "contains NaNs or infinities"


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (vector(1.0 + 2 * FP32.error_bound), rf"{DIFFERS}.*; fp32 allows at most 0\.001"),
        (vector(1.0, 1.0), "has the shape 2"),
        (vector(math.nan), NOT_FINITE),
        (vector(math.inf), NOT_FINITE),
    ],
)
def test_a_wrong_output_is_refused(outputs: Tensor, says: str) -> None:
    actual = answer(outputs)
    expected = answer(vector(1.0))
    with pytest.raises(WrongAnswerError, match=f"the output {says}"):
        correctness.check(actual, expected, FP32)


@pytest.mark.parametrize(("gradient", "says"), [(1.5, DIFFERS), (math.nan, NOT_FINITE)])
def test_a_wrong_gradient_is_refused(gradient: float, says: str) -> None:
    expected = answer(vector(1.0), vector(1.0))
    actual = answer(vector(1.0), vector(gradient))
    with pytest.raises(WrongAnswerError, match=f"the gradient {says}"):
        correctness.check(actual, expected, FP32)


def test_a_gradient_error_without_a_bound_is_only_reported() -> None:
    expected = answer(vector(1.0), vector(1.0))
    actual = answer(vector(1.0), vector(1.5))
    assert BF16.gradient_bound is None
    assert correctness.check(actual, expected, BF16) == (0.0, 0.5)


def test_a_gradient_with_nans_is_refused_in_every_dtype() -> None:
    expected = answer(vector(1.0), vector(1.0))
    actual = answer(vector(1.0), vector(math.nan))
    with pytest.raises(WrongAnswerError):
        correctness.check(actual, expected, BF16)


def test_each_dtype_has_its_own_bound() -> None:
    error = (FP32.error_bound + BF16.error_bound) / 2
    actual = answer(vector(1 + error))
    expected = answer(vector(1.0))
    assert correctness.check(actual, expected, BF16)[0] == pytest.approx(error, rel=1e-5)
    with pytest.raises(WrongAnswerError):
        correctness.check(actual, expected, FP32)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("other", [torch.full((3,), -INF), torch.full((3,), NAN), NAN])
def test_a_leaf_without_finite_values_must_equal_the_expected_one(other: Any) -> None:
    y = vector(1.0, 2.0)
    expected = answer((y, other))
    assert correctness.check(answer((y, other)), expected, FP32) == (0.0, None)
    with pytest.raises(WrongAnswerError, match=r"the output\[1\] is "):
        correctness.check(answer((y, 1.0 if other is NAN else other.nan_to_num())), expected, FP32)


def test_an_answer_without_finite_values_is_refused() -> None:
    expected = answer((vector(NAN, NAN), vector(-INF), torch.tensor([1])))
    with pytest.raises(WrongAnswerError, match=r"the output\[0\] and all other .* no finite value"):
        correctness.check(expected, expected, FP32)


def test_empty_tensors_need_no_finite_value() -> None:
    empty = answer((torch.empty(0, 4), torch.empty(0).long()))
    assert correctness.check(empty, empty, FP32) == (0.0, None)


def test_the_error_is_the_largest_over_leaves() -> None:
    """Computed over all numbers together, the error would be about 0.5e-6."""
    expected = answer({"boxes": vector(1e3, 0.0), "scores": vector(1.0)})
    actual = answer({"boxes": vector(1e3, 0.0), "scores": vector(1.0 + 5e-4)})
    assert correctness.check(actual, expected, FP32)[0] == pytest.approx(5e-4, rel=1e-3)
    wrong = answer({"boxes": vector(1e3, 0.0), "scores": vector(2.0)})
    with pytest.raises(
        WrongAnswerError, match=r"the output\['scores'\] differs from fp32 eager's by 1 "
    ):
        correctness.check(wrong, expected, BF16)


@pytest.mark.parametrize("dtype", [FP32, BF16])
@pytest.mark.parametrize("gradient", [None, vector(1.0)])
def test_a_wrong_small_output_is_refused_next_to_a_large_one(
    dtype: Dtype, gradient: Tensor | None
) -> None:
    boxes, scores = torch.full((2, 4), 640.0), vector(1e-4, 2e-4)
    expected = answer({"boxes": boxes, "scores": scores}, gradient)
    for wrong in (3 * scores.flip(0), 500 * scores, torch.zeros(2)):
        with pytest.raises(
            WrongAnswerError, match=r"the output\['scores'\] differs from fp32 eager's by "
        ):
            correctness.check(answer({"boxes": boxes, "scores": wrong}, gradient), expected, dtype)


def test_the_error_of_a_nearly_zero_output_is_relative_to_all_outputs() -> None:
    """The root mean square of 1 and 0 is 1 / sqrt(2)."""
    expected, actual = answer((vector(1.0), vector(0.0))), answer((vector(1.0), vector(1e-11)))
    error, _ = correctness.check(actual, expected, FP32)
    assert error == pytest.approx(1e-11 * math.sqrt(2) / OUTPUT_FLOOR)


def test_the_error_of_a_nearly_zero_gradient_is_relative_to_all_gradients() -> None:
    ones = vector(1.0)
    expected = Answer(outputs={"output": ones}, gradients={"w": ones, "bias": vector(0.0)})
    actual = replace(expected, gradients={"w": ones, "bias": vector(1e-7)})
    _, error = correctness.check(actual, expected, FP32)
    assert error == pytest.approx(1e-7 * math.sqrt(2) / GRADIENT_FLOOR)


def test_a_wrong_imaginary_part_is_refused() -> None:
    expected = answer(torch.complex(vector(3.0), vector(4.0)))
    conjugate = answer(torch.complex(vector(3.0), vector(4.0)).conj())
    assert correctness.check(expected, expected, FP32)[0] == 0
    with pytest.raises(WrongAnswerError, match=rf"differs from fp32 eager's by {8 / 5} "):
        correctness.check(conjugate, expected, FP32)


@pytest.mark.parametrize(
    ("actual", "expected", "says"),
    [
        ("dog", "cat", r"the output\[1\] is 'dog', but fp32 eager's is 'cat'"),
        (3, 4, r"the output\[1\] is 3, but fp32 eager's is 4"),
        (2.0, 1.0, r"the output\[1\] is 2.0, but fp32 eager's is 1.0"),
        (None, 1, r"the output\[1\] is None, but fp32 eager's is 1"),
        (vector(1.0), None, r"the output\[1\] is tensor\(\[1.\]\), but fp32 eager's is None"),
        (vector(1.0, 1.0), vector(1.0), r"the output\[1\] has the shape 2, .* has the shape 1"),
        (
            vector(1.0),
            torch.tensor([1]),
            r"the output\[1\] has the dtype torch.float32, .* torch.int64",
        ),
        ({"a": 1}, {"b": 1}, r"output\[1\]\['a'\], output\[1\]\['b'\]"),
    ],
)
def test_the_message_names_the_leaf_that_differs(actual: Any, expected: Any, says: str) -> None:
    ones = vector(1.0)
    with pytest.raises(WrongAnswerError, match=says):
        correctness.check(answer((ones, actual)), answer((ones, expected)), FP32)


def test_floats_are_compared_as_tensors_and_other_values_must_be_equal() -> None:
    actual = answer({"x": vector(1.0), "float": 1.0 + 1e-4, "name": "cat", "none": None, "int": 3})
    expected = answer({"x": vector(1.0), "float": 1.0, "name": "cat", "none": None, "int": 3})
    assert correctness.check(actual, expected, FP32)[0] == pytest.approx(1e-4)


class Opaque:
    """A value that is equal only to itself."""


def test_values_that_cannot_be_compared_are_refused_with_their_type() -> None:
    with pytest.raises(RequestError, match=r"the output\[1\] has the type Opaque, .* __eq__"):
        correctness.check(answer((vector(1.0), Opaque())), answer((vector(1.0), Opaque())), FP32)


@pytest.mark.parametrize("output", [(), 3, {"label": "cat"}])
def test_an_output_without_a_tensor_is_refused(output: Any) -> None:
    with pytest.raises(RequestError, match=r"contains no tensor.* dataclasses"):
        correctness.check(answer(output), answer(output), FP32)


def test_check_finite_refuses_values_that_became_non_finite() -> None:
    first = answer(vector(NAN, 1.0, 2.0), vector(1.0))
    correctness.check_finite(answer(vector(NAN, 9.0, 9.0), vector(9.0)), first)
    correctness.check_finite(answer(vector(1.0, 9.0, 9.0), vector(9.0)), first)
    with pytest.raises(WrongAnswerError, match=f"the output {NOT_FINITE}"):
        correctness.check_finite(answer(vector(NAN, NAN, 2.0), vector(1.0)), first)
    with pytest.raises(WrongAnswerError, match=f"the gradient {NOT_FINITE}"):
        correctness.check_finite(answer(vector(NAN, 1.0, 2.0), vector(INF)), first)


def test_all_outputs_of_a_training_step_together_keep_the_output_bound() -> None:
    far = (BF16.error_bound + BF16.training_leaf_bound) / 2
    gradient = vector(1.0)
    expected = answer([vector(1.0, 0.0), vector(0.1, 0.0)], gradient)
    small_is_far = answer([vector(1.0, 0.0), vector(0.1, 0.1 * far)], gradient)
    output_error, gradient_error = correctness.check(small_is_far, expected, BF16)
    assert output_error == pytest.approx(far)
    assert gradient_error == 0
    both_are_far = answer([vector(1.0, far), vector(0.1, 0.1 * far)], gradient)
    with pytest.raises(WrongAnswerError, match=f"differ from fp32 eager's by {far:.2g} "):
        correctness.check(both_are_far, expected, BF16)


SAME = "the output is the same for different images: .* compute its output from each input"


@pytest.mark.parametrize(
    "output",
    [
        vector(1.0, 0.0),
        {"logits": vector(NAN, 1.0), "name": "cat", "index": torch.tensor([3])},
    ],
)
def test_equal_answers_to_different_images_are_refused(output: Any) -> None:
    with pytest.raises(WrongAnswerError, match=SAME):
        correctness.check_different(answer(output), answer(output))
    correctness.check_different(answer((output, "a")), answer((output, "b")))
    correctness.check_different(answer((output, vector(1.0))), answer((output, vector(1.0 + 1e-6))))
    correctness.check_different(answer((output, None)), answer((output, vector(1.0))))
    correctness.check_different(answer([output]), answer([output, output]))


@pytest.mark.parametrize(
    "output", [torch.tensor([3]), vector(0.0, 0.0), (vector(0.0), 0.5), vector(NAN, -INF), "cat"]
)
def test_class_indices_and_zeros_may_be_equal_for_different_images(output: Any) -> None:
    correctness.check_different(answer(output), answer(output))
