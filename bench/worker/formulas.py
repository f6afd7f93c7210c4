"""FLOP formulas for operators that ``FlopCounterMode`` counts as 0, and a test for such operators.

A multiply-accumulate is two FLOPs, as in PyTorch's own formulas. A formula gets only shapes: that
of every tensor argument, and that of the output as ``out_shape``. Importing this file does not
import torch.
"""

import re
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

COUNTER = "FlopCounterMode, formulas 1"
"""Name of the counter, besides the PyTorch version; its number rises with changes of this file."""

Shape = tuple[int, ...]
Formula = Callable[..., int]


def matrix_vector(matrix: Shape, _vector: Shape, **_: Any) -> int:
    """Matrix M × K times vector K."""
    return 2 * prod(matrix)


def added_matrix_vector(_bias: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    """Matrix M × K times vector K, added to a vector."""
    return 2 * prod(matrix)


def dot(left: Shape, _right: Shape, **_: Any) -> int:
    """Dot product of two vectors of length K."""
    return 2 * prod(left)


def added_product(_bias: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    """… × M × K times … × K × N, added to a tensor; with or without a sum over the batch."""
    return 2 * prod(left) * right[-1]


def outer(_bias: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    """Outer product of vectors of lengths M and N, added to a matrix."""
    return 2 * prod(left) * prod(right)


def trilinear(
    left: Shape,
    weight: Shape,
    right: Shape,
    *expanded_and_summed: list[int],
    **_: Any,
) -> int:
    """N × I times O × I × J times N × J, as in ``nn.Bilinear``: N·O·I·J multiply-accumulates.

    The element-wise product of ``left`` and ``right``, which comes first, is not counted.
    """
    from torch import broadcast_shapes

    shapes = (left, weight, right)
    expanded = (
        _expanded(shape, dimensions)
        for shape, dimensions in zip(shapes, expanded_and_summed[:3], strict=True)
    )
    shape: Shape = broadcast_shapes(*expanded)
    return 2 * prod(shape)


def attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Queries … × L × E times keys … × S × E, then scores times values … × S × V.

    Masked scores are counted too. PyTorch before 2.15 counts 0 on a CPU.
    """
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def linear(inputs: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """… × K times weights in any layout; the output is … × N."""
    return 2 * prod(out_shape) * inputs[-1]


def convolution(_inputs: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Convolution with weights of shape output channels × input channels per group × kernel."""
    return 2 * prod(out_shape) * prod(weight[1:])


def quantised_convolution(
    _inputs: Shape, _scale: Any, _zero: Any, weight: Shape, *_: Any, out_shape: Shape, **__: Any
) -> int:
    """Convolution whose weights come after the scale and the zero point of the inputs."""
    return 2 * prod(out_shape) * prod(weight[1:])


def packed_convolution(_inputs: Shape, packed: Any, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Quantised convolution; only the packed object knows the shape of its weights."""
    weight, _bias = packed.unpack()
    kernel: Shape = weight.shape[1:]
    return 2 * prod(out_shape) * prod(kernel)


def _expanded(shape: Shape, dimensions: list[int]) -> Shape:
    """Return a shape with 1 inserted at these dimensions of the result, in ascending order."""
    sizes = list(shape)
    for dimension in dimensions:
        sizes.insert(dimension, 1)
    return tuple(sizes)


# By operator name. Operators that the installed PyTorch does not have are ignored.
FORMULAS: Mapping[str, Formula] = {
    "aten::mv": matrix_vector,
    "aten::addmv": added_matrix_vector,
    "aten::dot": dot,
    "aten::vdot": dot,
    "aten::addbmm": added_product,
    "aten::addr": outer,
    # PyTorch has formulas only for the forms that are not in place.
    "aten::addmm_": added_product,
    "aten::baddbmm_": added_product,
    "aten::addbmm_": added_product,
    "aten::addmv_": added_matrix_vector,
    "aten::addr_": outer,
    "aten::_trilinear": trilinear,
    "aten::_scaled_dot_product_flash_attention_for_cpu": attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": attention,
    "aten::_int_mm": linear,
    "aten::_weight_int8pack_mm": linear,
    "aten::_weight_int4pack_mm": linear,
    "aten::_weight_int4pack_mm_for_cpu": linear,
    "aten::_dyn_quant_matmul_4bit": linear,
    "aten::mkldnn_linear": linear,
    "aten::mkldnn_convolution": convolution,
    "mkldnn::_linear_pointwise": linear,
    "mkldnn::_convolution_pointwise": convolution,
    "mkldnn::_convolution_pointwise_": lambda _added, *args, **kwargs: convolution(*args, **kwargs),
    "onednn::qlinear_pointwise": linear,
    "onednn::qconv1d_pointwise": quantised_convolution,
    "onednn::qconv2d_pointwise": quantised_convolution,
    "onednn::qconv3d_pointwise": quantised_convolution,
    "onednn::qconv_pointwise": quantised_convolution,
    "quantized::linear": linear,
    "quantized::linear_relu": linear,
    "quantized::linear_dynamic": linear,
    "quantized::linear_relu_dynamic": linear,
    **{
        f"quantized::conv{dimensions}d{suffix}": packed_convolution
        for dimensions in (1, 2, 3)
        for suffix in ("", "_relu")
    },
    "torchvision::deform_conv2d": convolution,
}


def by_operator() -> dict[Any, Formula]:
    """Return the formulas of the operators that this PyTorch has, for ``FlopCounterMode``."""
    import torch

    formulas = {}
    for name, formula in FORMULAS.items():
        namespace, _, operator = name.partition("::")
        packet = getattr(getattr(torch.ops, namespace), operator, None)
        if packet is not None:
            formulas[packet] = formula
    return formulas


# Words in the names of those PyTorch operators that multiply matrices, or do similar work.
_MULTIPLYING = frozenset(
    {
        *("mm", "addmm", "bmm", "baddbmm", "addbmm", "hspmm", "sspaddmm", "matmul", "einsum"),
        *("mv", "addmv", "dot", "vdot", "linear", "trilinear", "attention", "transformer"),
        *("conv", "convolution", "lstm", "gru", "rnn", "fft", "cdist", "pdist", "euclidean"),
        *("linalg", "cholesky", "qr", "geqrf", "ormqr", "householder", "svd", "lu", "solve"),
        *("spsolve", "inverse", "triangular"),
    }
)
# Operators whose names contain such a word, but which only move, check or add up elements.
_HARMLESS = re.compile(
    r"upsample|reorder|flatten_weight|lu_unpack|check_errors|vector_norm|cross|pack$|fftfreq|"
    r"batch_norm"
)
_OWN = frozenset(
    {
        *("aten", "prim", "prims", "quantized", "mkldnn", "mkldnn_prepacked", "onednn", "mkl"),
        *("inductor", "torchvision", "profiler", "streams"),
    }
)


def multiplies(name: str) -> bool:
    """Return whether an operator, ``namespace::name``, may multiply and accumulate.

    The names of PyTorch's own operators show it. Any operator of another library may.
    """
    namespace, _, operator = name.partition("::")
    if namespace not in _OWN:
        return True
    # For example, qconv2d is a quantised convolution, and int4mm a product of int4 matrices.
    words = {
        re.sub(r"^(q|int\d)(?=conv|linear|mm)|(\d+d?)$", "", word)
        for word in operator.lower().split("_")
    }
    return bool(words & _MULTIPLYING) and not _HARMLESS.search(operator)
