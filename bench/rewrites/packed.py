"""Convolutions on a CPU with weights that were reordered once for oneDNN, and ReLU inside.

PyTorch otherwise reorders the weights at every call, and computes small convolutions outside
oneDNN. The two operators are those that Inductor's freezing uses. They are private, so another
version of PyTorch may lack them.
"""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench import capture
from bench.error_text import first_line
from bench.errors import RequestError
from bench.rewrites.channels_last import CHANNELS_LAST
from bench.rewrites.rewrite import Rewrite

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import GraphModule, Node

    from bench.archs.source import Inputs

_REORDER, _CONVOLUTION = "_reorder_convolution_weight", "_convolution_pointwise"
IMAGES_NDIM = 4  # N C H W


def _apply(module: "nn.Module", example: "Inputs") -> "nn.Module":
    """Return a network's operators, with 2-D convolutions packed for the shapes of ``example``.

    A network without them is returned as it is. Raises ``RequestError`` if PyTorch lacks the
    operators or the CPU the dtype, and if ``torch.export`` cannot capture the network.
    """
    import torch

    _check_available()
    program = capture.exported_program(
        copy.deepcopy(module), example, *capture.needed_by(PACKED.name)
    )
    # No checks of the input's shape at each call: iterations do not change it.
    packed: GraphModule = program.module(check_guards=False)
    convolution = torch.ops.aten.conv2d.default
    nodes = [
        node
        for node in packed.graph.find_nodes(op="call_function", target=convolution)
        if _is_packable(node)
    ]
    if not nodes:
        return module
    for node in nodes:
        _pack(packed, node)
    packed.recompile()
    return packed


def _check_available() -> None:
    import torch

    absent = [name for name in (_REORDER, _CONVOLUTION) if not hasattr(torch.ops.mkldnn, name)]
    if absent or not torch.backends.mkldnn.is_available():
        needed = f"torch.ops.mkldnn.{absent[0]}" if absent else "oneDNN"
        raise RequestError(
            f"the rewrite packed needs {needed}, which PyTorch {torch.__version__} lacks: choose "
            "the mode channels_last"
        )


def _is_packable(node: "Node") -> bool:
    """Whether a convolution is of a batch of images, with a weight that nothing else uses."""
    image, weight = node.args[:2]
    ndim: int = image.meta["val"].ndim  # type: ignore[union-attr]
    return ndim == IMAGES_NDIM and weight.op == "get_attr" and len(weight.users) == 1  # type: ignore[union-attr]


def _pack(network: "GraphModule", node: "Node") -> None:
    """Make a convolution, and a ReLU that is all that uses its output, one packed operator."""
    import torch

    aten, pointwise = torch.ops.aten, torch.ops.mkldnn._convolution_pointwise.default
    arguments = _arguments(node)
    geometry = [arguments[name] for name in ("padding", "stride", "dilation", "groups")]
    image, weight, bias = (arguments[name] for name in ("input", "weight", "bias"))
    owner_name, _, name = weight.target.rpartition(".")
    owner = network.get_submodule(owner_name)
    setattr(owner, name, _reordered(getattr(owner, name), geometry, image.meta["val"].shape))

    users = list(node.users)  # none, if the network ignores the output
    has_relu = len(users) == 1 and users[0].target in {aten.relu.default, aten.relu_.default}
    activation = "relu" if has_relu else "none"
    node.target, node.kwargs = pointwise, {}
    node.args = (image, weight, bias, *geometry, activation, [], "")
    if has_relu:
        users[0].replace_all_uses_with(node)
        network.graph.erase_node(users[0])


def _arguments(node: "Node") -> dict[str, Any]:
    """Return the arguments of an operator by name, with the defaults of those not given."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    defaults = {argument.name: argument.default_value for argument in schema}
    return {**defaults, **dict(zip(defaults, node.args, strict=False)), **node.kwargs}


def _reordered(weight: "Tensor", geometry: list[Any], image_shape: "Sequence[int]") -> "Tensor":
    """Return a weight as oneDNN wants it for images of this shape."""
    import torch

    try:
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight.detach(), *geometry, list(image_shape)
        )
    except RuntimeError as error:
        raise RequestError(
            f"oneDNN cannot pack weights of {weight.dtype} on this CPU ({first_line(str(error))}): "
            "choose another dtype, or a mode without packed"
        ) from error
    return torch.nn.Parameter(packed, requires_grad=False)


PACKED = Rewrite(
    name="packed",
    what="convolutions with weights reordered once for oneDNN, and ReLU inside; activations in "
    "channels_last",
    apply=_apply,
    code="from bench.rewrites.packed import PACKED\n\n"
    "example = tuple(map(PACKED.arrange, example))\n"
    "model = PACKED.apply(model, example)\n",
    arrange=CHANNELS_LAST.arrange,
    after_cast=True,
    fixes_threads=True,  # oneDNN's layout of weights depends on them
    needs_torch=True,
    keeps_modules=False,
    # Sums in another order. Ten times the largest error measured in fp32, on all variants of
    # GoogLeNet and nine other networks with random batch norms: 1.3e-6, after fold.
    error_budget=1e-5,
    order=3,
    devices=frozenset({"cpu"}),
    imports=capture.IMPORTS,
    not_exported="weights that oneDNN packed cannot be saved; choose the mode freeze, which packs "
    "them at load, or leave out packed",
    limits="packed weights cannot be updated",
)
