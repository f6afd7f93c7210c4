from collections.abc import Iterator

import pytest
import torch

from bench.cells.dtypes import DTYPES

TORCH_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
# Significant bits of the rounded products, with the hidden bit.
BITS = {"fp32": 24, "tf32": 11, "bf16": 8, "fp16": 11}


@pytest.fixture
def _precision_restored() -> Iterator[None]:
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    product = torch.backends.cuda.matmul
    before = (torch.backends.cudnn.fp32_precision, convolution.fp32_precision)
    before_product = product.fp32_precision
    yield
    torch.backends.cudnn.fp32_precision, convolution.fp32_precision = before
    product.fp32_precision = before_product


def test_tests_cover_every_dtype() -> None:
    assert set(DTYPES) == set(TORCH_DTYPES)


@pytest.mark.parametrize("name", DTYPES)
def test_torch_dtype(name: str) -> None:
    assert DTYPES[name].name == name
    assert DTYPES[name].torch_dtype is TORCH_DTYPES[name]


@pytest.mark.parametrize("name", DTYPES)
def test_only_fp32_and_bf16_run_on_a_cpu(name: str) -> None:
    assert "cuda" in DTYPES[name].devices
    assert ("cpu" in DTYPES[name].devices) == (name in {"fp32", "bf16"})


@pytest.mark.parametrize("name", DTYPES)
def test_bounds_are_above_rounding_and_below_a_wrong_answer(name: str) -> None:
    dtype = DTYPES[name]
    assert 2.0 ** -BITS[name] < dtype.error_bound <= dtype.training_leaf_bound < 1
    assert dtype.gradient_bound is None or dtype.error_bound < dtype.gradient_bound < 1


def test_bounds_do_not_get_tighter_with_fewer_bits() -> None:
    by_bits = sorted(DTYPES, key=lambda name: BITS[name])
    for bounds in (
        [DTYPES[name].error_bound for name in by_bits],
        [DTYPES[name].training_leaf_bound for name in by_bits],
    ):
        assert bounds == sorted(bounds, reverse=True)


@pytest.mark.usefixtures("_precision_restored")
@pytest.mark.parametrize("name", DTYPES)
def test_pin_precision_sets_convolutions_and_products(name: str) -> None:
    DTYPES[name].pin_precision()
    assert torch.backends.cudnn.allow_tf32 == (name == "tf32")
    assert torch.backends.cuda.matmul.allow_tf32 == (name == "tf32")
    # Old and new getters work: if only part of the state is set, some of them raise.
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    assert convolution.fp32_precision == ("tf32" if name == "tf32" else "ieee")
    assert torch.backends.cudnn.fp32_precision == ("tf32" if name == "tf32" else "ieee")
    assert torch.get_float32_matmul_precision() == ("high" if name == "tf32" else "highest")
    assert (torch.backends.cuda.matmul.fp32_precision == "tf32") == (name == "tf32")


@pytest.mark.usefixtures("_precision_restored")
def test_pinning_fp32_undoes_tf32() -> None:
    DTYPES["tf32"].pin_precision()
    DTYPES["fp32"].pin_precision()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


# Errors of single products are far below the bounds for full networks in bench/cells/dtypes.py.
@pytest.mark.gpu
@pytest.mark.usefixtures("_precision_restored")
@pytest.mark.parametrize("operator", ["convolution", "product"])
def test_pin_precision_changes_results_on_a_gpu(operator: str) -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this device has no TF32: it came with compute capability 8.0")
    torch.manual_seed(0)
    left, right = torch.randn(256, 256), torch.randn(256, 256)
    images, weights = torch.randn(4, 64, 28, 28), torch.randn(64, 64, 3, 3)

    def computed(device: str, dtype: torch.dtype) -> torch.Tensor:
        if operator == "product":
            return (left.to(device, dtype) @ right.to(device, dtype)).double().cpu()
        result = torch.nn.functional.conv2d(images.to(device, dtype), weights.to(device, dtype))
        return result.double().cpu()

    exact = computed("cpu", torch.float64)
    errors = {}
    for name in ("fp32", "tf32"):
        DTYPES[name].pin_precision()
        result = computed("cuda", torch.float32)
        errors[name] = float((result - exact).norm() / exact.norm())
    assert errors["fp32"] < 1e-5
    assert 2.0 ** -BITS["tf32"] / 8 < errors["tf32"] < DTYPES["tf32"].error_bound
