from collections.abc import Iterator

import pytest
import torch

from bench.dtypes import DTYPES

TORCH_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
# Significant bits of what products are rounded to, the hidden one among them.
BITS = {"fp32": 24, "tf32": 11, "bf16": 8, "fp16": 11}


@pytest.fixture
def _precision_restored() -> Iterator[None]:
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    product = torch.backends.cuda.matmul
    before = (convolution.fp32_precision, product.fp32_precision)
    yield
    convolution.fp32_precision, product.fp32_precision = before


def test_every_dtype_is_known_to_these_tests() -> None:
    assert set(DTYPES) == set(TORCH_DTYPES)


@pytest.mark.parametrize("name", DTYPES)
def test_torch_dtype(name: str) -> None:
    assert DTYPES[name].name == name
    assert DTYPES[name].torch_dtype is TORCH_DTYPES[name]


@pytest.mark.parametrize("name", DTYPES)
def test_only_what_a_cpu_does_natively_runs_there(name: str) -> None:
    assert "cuda" in DTYPES[name].devices
    assert ("cpu" in DTYPES[name].devices) == (name in {"fp32", "bf16"})


@pytest.mark.parametrize("name", DTYPES)
def test_bounds_are_above_rounding_and_below_a_wrong_answer(name: str) -> None:
    dtype = DTYPES[name]
    assert 2.0 ** -BITS[name] < dtype.error_bound < 1
    assert dtype.gradient_bound is None or dtype.error_bound < dtype.gradient_bound < 1


def test_fewer_bits_never_have_a_tighter_bound() -> None:
    by_bits = sorted(DTYPES, key=lambda name: BITS[name])
    bounds = [DTYPES[name].error_bound for name in by_bits]
    assert bounds == sorted(bounds, reverse=True)


@pytest.mark.usefixtures("_precision_restored")
@pytest.mark.parametrize("name", DTYPES)
def test_pin_precision_sets_both_knobs(name: str) -> None:
    DTYPES[name].pin_precision()
    assert torch.backends.cudnn.allow_tf32 == (name == "tf32")
    assert torch.backends.cuda.matmul.allow_tf32 == (name == "tf32")
    # Every getter answers, old and new: a state set in part makes some of them raise.
    assert torch.get_float32_matmul_precision() == ("high" if name == "tf32" else "highest")
    assert (torch.backends.cuda.matmul.fp32_precision == "tf32") == (name == "tf32")


@pytest.mark.usefixtures("_precision_restored")
def test_pinning_fp32_undoes_tf32() -> None:
    DTYPES["tf32"].pin_precision()
    DTYPES["fp32"].pin_precision()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
