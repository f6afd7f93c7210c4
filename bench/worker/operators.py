"""Operators: which are counted, some as fvcore has to be told, and which are not, and why."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

# fvcore's names for what multiplies and accumulates.
MAC_OPERATORS = frozenset(
    {
        *("conv", "linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "einsum"),
        "scaled_dot_product_attention",
    }
)

_POOLING = "pooling compares or adds, and multiplies nothing"
_ELEMENTWISE = "a few operations an element, no accumulation"
_REDUCTION = "adds up elements, and multiplies nothing"
_NORM = "a few operations an element; fvcore counts other norms in its own total"
_COPY = "moves elements"
_SHAPE = "tells a shape"
IGNORED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("aten::max_pool2d", "aten::avg_pool2d", "aten::avg_pool3d"), _POOLING),
        **dict.fromkeys(
            (
                "aten::add",
                "aten::add_",
                "aten::sub",
                "aten::rsub",
                "aten::mul",
                "aten::mul_",
                "aten::div",
                "aten::div_",
                "aten::pow",
                "aten::neg",
                "aten::abs",
                "aten::exp",
                "aten::sqrt",
                "aten::rsqrt",
                "aten::tanh",
                "aten::gelu",
                "aten::silu",
                "aten::silu_",
                "aten::sigmoid",
                "aten::sigmoid_",
                "aten::softmax",
                "aten::log_softmax",
                "aten::leaky_relu",
                "aten::leaky_relu_",
                "aten::hardtanh",
                "aten::hardtanh_",
                "aten::relu6",
                "aten::hardswish",
                "aten::hardswish_",
                "aten::hardsigmoid",
                "aten::hardsigmoid_",
                "aten::clamp",
                "aten::clamp_min",
                "aten::clamp_max",
                "aten::feature_dropout",
                "aten::dropout_",
                "aten::bernoulli_",
                "aten::ne",
                "aten::lt",
                "aten::le",
                "aten::where",
            ),
            _ELEMENTWISE,
        ),
        **dict.fromkeys(("aten::mean", "aten::sum", "aten::cumsum"), _REDUCTION),
        **dict.fromkeys(("aten::rms_norm", "aten::linalg_vector_norm"), _NORM),
        **dict.fromkeys(
            (
                "aten::pad",
                "aten::fill_",
                "aten::zero_",
                "aten::zeros_like",
                "aten::clone",
                "aten::unflatten",
                "aten::expand_as",
            ),
            _COPY,
        ),
        "aten::numel": _SHAPE,
    }
)


def _elements(_inputs: list[Any], outputs: list[Any]) -> int:
    """Of what comes out."""
    return int(math.prod(_shape(outputs[0])))


def _attention_scores(inputs: list[Any], outputs: list[Any]) -> int:
    """Scores of every query by every key: keys are N × … × S × E, what comes out N × … × L × V."""
    return int(math.prod(_shape(outputs[0])[:-1]) * _shape(inputs[1])[-2])


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Of queries by keys, and of scores by values; what a mask leaves out is multiplied too."""
    channels = _shape(inputs[1])[-1] + _shape(inputs[2])[-1]
    return _attention_scores(inputs, outputs) * channels


def _attention_activations(inputs: list[Any], outputs: list[Any]) -> int:
    """What both products put out, as where they are two operators."""
    return _attention_scores(inputs, outputs) + _elements(inputs, outputs)


def _shape(value: Any) -> list[int]:
    """Of a tensor in a trace."""
    sizes: list[int] = value.type().sizes()
    return sizes


# What fvcore does not count by itself, by what comes into and out of an operator in a trace.
_Handle = Callable[[list[Any], list[Any]], int]
MACS: Mapping[str, _Handle] = MappingProxyType(
    {"aten::scaled_dot_product_attention": _attention_macs}
)
ACTIVATIONS: Mapping[str, _Handle] = MappingProxyType(
    {"aten::scaled_dot_product_attention": _attention_activations, "aten::mm": _elements}
)
