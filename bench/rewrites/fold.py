"""Batch norms folded into the layers before them.

In ``eval()`` a batch norm is a scale and a shift per channel, which a convolution's or a linear
layer's own weight and bias can take over. The network keeps its modules: the layer gets new
weights, and the batch norm becomes an ``nn.Identity``. Its state dict is that of the new form.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench import capture
from bench.rewrites.rewrite import Rewrite

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram
    from torch.fx import Node
    from torch.nn.modules.batchnorm import _BatchNorm

    from bench.archs.source import Inputs

_NORMS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"})
_NORM_AND_ACTIVATION = frozenset({"BatchNormAct2d"})
"""timm's batch norms that also drop and activate, by the modules ``drop`` and ``act``."""


def _apply(module: "nn.Module", example: "Inputs") -> "nn.Module":
    """Return a copy in which each batch norm is folded that follows a layer and nothing else does.

    A network without such batch norms is returned as it is. Raises ``RequestError`` if
    ``torch.export`` cannot capture the network.
    """
    folded = copy.deepcopy(module)
    replaced: dict[nn.Module, nn.Module] = {}
    for layer, norm in _pairs(
        folded, capture.exported_program(folded, example, *capture.needed_by(FOLD.name))
    ):
        replaced[layer] = _fused(layer, norm)
        replaced[norm] = _rest(norm)
    if not replaced:
        return module
    # A module may be registered under several names.
    for name, part in list(folded.named_modules(remove_duplicate=False)):
        if part in replaced:
            folded.set_submodule(name, replaced[part])
    return folded


def _pairs(
    module: "nn.Module", program: "ExportedProgram"
) -> Iterator[tuple["nn.Module", "_BatchNorm"]]:
    """Yield each layer, and the batch norm that is all that uses its output.

    Both run once in a forward pass, and share no weight with other modules.
    """
    import torch
    from torch.fx import Node

    aten = torch.ops.aten
    layers = {
        aten.conv1d.default,
        aten.conv2d.default,
        aten.conv3d.default,
        aten.conv1d.padding,
        aten.conv2d.padding,
        aten.conv3d.padding,
        aten.conv_transpose1d.default,
        aten.conv_transpose2d.input,
        aten.conv_transpose3d.input,
        aten.linear.default,
    }
    for node in program.graph.nodes:
        if node.target is not aten.batch_norm.default:
            continue
        before, *statistics, is_training = node.args[:6]
        if is_training or not isinstance(before, Node) or before.target not in layers:
            continue
        if len(before.users) > 1:
            continue
        layer = _owner(module, program, before.args[1:3])
        norm = _owner(module, program, statistics)
        if layer is not None and norm is not None and _can_fuse(layer, norm, before):
            yield layer, norm  # type: ignore[misc]


def _owner(
    module: "nn.Module", program: "ExportedProgram", tensors: "tuple[object, ...] | list[object]"
) -> "nn.Module | None":
    """Return the module whose own parameters and buffers these are, if nothing else uses them."""
    from torch.fx import Node

    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    nodes = [tensor for tensor in tensors if isinstance(tensor, Node)]
    if any(node.name not in names or len(node.users) > 1 for node in nodes):
        return None
    owners = {names[node.name].rpartition(".")[0] for node in nodes}
    return module.get_submodule(owners.pop()) if len(owners) == 1 else None


def _can_fuse(layer: "nn.Module", norm: "nn.Module", output: "Node") -> bool:
    """Whether torch's functions can fuse two modules; ``output`` is the layer's."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    if type(norm).__name__ not in _NORMS | _NORM_AND_ACTIVATION:
        return False
    if isinstance(layer, nn.Linear):
        # With more dimensions, the channels of the batch norm are not the layer's features.
        return output.meta["val"].ndim == 2 and norm.weight is not None
    is_transposed = isinstance(layer, _ConvTransposeNd)
    return isinstance(layer, _ConvNd) and not (is_transposed and layer.groups > 1)


def _fused(layer: "nn.Module", norm: "_BatchNorm") -> "nn.Module":
    """Return a copy of a layer that also does what a batch norm does after it."""
    from torch import nn
    from torch.nn.modules.conv import _ConvTransposeNd
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    if isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, norm)
    is_transposed = isinstance(layer, _ConvTransposeNd)
    return fuse_conv_bn_eval(layer, norm, transpose=is_transposed)  # type: ignore[type-var]


def _rest(norm: "nn.Module") -> "nn.Module":
    """Return what a module does besides its batch norm."""
    from torch import nn

    if type(norm).__name__ in _NORM_AND_ACTIVATION:
        return nn.Sequential(norm.drop, norm.act)  # type: ignore[arg-type]
    return nn.Identity()


FOLD = Rewrite(
    name="fold",
    what="batch norms folded into the convolutions and linear layers before them",
    apply=_apply,
    code="from bench.rewrites.fold import FOLD\n\nmodel = FOLD.apply(model, example)\n",
    # Rounds weights instead of outputs. Ten times the largest error measured in fp32, on all
    # variants of GoogLeNet and nine other networks with random batch norms: 9e-7.
    error_budget=1e-5,
    order=1,
    imports=capture.IMPORTS,
    limits="in training a batch norm uses the statistics of each batch",
)
