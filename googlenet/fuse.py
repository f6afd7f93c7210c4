"""Fusion of the sibling 1×1 convolutions of an Inception block, of this project or torchvision's.

The 1×1 branch and the reductions before the larger kernels read the same input. As one convolution
they read it once. Weights and batch norms are concatenated, which changes no value.
"""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from googlenet.blocks import Inception
from googlenet.reference import TorchvisionInception

# The branches of each block, in the order of their channels in its output.
_BRANCHES: Mapping[type[nn.Module], tuple[str, ...]] = MappingProxyType(
    {
        Inception: ("branch1x1", "branch3x3", "branch5x5", "branch_pool"),
        TorchvisionInception: ("branch1", "branch2", "branch3", "branch4"),
    }
)


def fuse(network: nn.Module) -> nn.Module:
    """Return a copy of a network in which each Inception block is a ``FusedInception``.

    Blocks with fewer than two sibling 1×1 convolutions stay as they are. Raises ``ValueError`` if
    that leaves none.
    """
    fused = copy.deepcopy(network)
    blocks = [
        (name, block)
        for name, block in fused.named_modules()
        if type(block) in _BRANCHES and len(_siblings(block)) > 1
    ]
    if not blocks:
        raise ValueError(
            f"{type(network).__name__} has no 1×1 convolutions side by side in Inception blocks of "
            "this project's GoogLeNet or of torchvision's"
        )
    for name, block in blocks:
        if not name:  # the network is a block itself
            return FusedInception(block)
        fused.set_submodule(name, FusedInception(block))
    return fused


class FusedInception(nn.Module):
    """An Inception block whose sibling 1×1 convolutions are one, ``entry``; takes over its modules.

    State dicts have the keys and shapes of the original block.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        siblings = _siblings(block)
        units = [block.get_submodule(path) for path in siblings.values()]
        self.paths = tuple(siblings.values())
        self.widths = [len(unit.get_parameter("conv.weight")) for unit in units]
        self.branches = {name: name in siblings for name in _BRANCHES[type(block)]}
        self.entry = _joined(units)
        for name in self.branches:
            self.add_module(name, block.get_submodule(name))
        for path in self.paths:
            self.set_submodule(path, nn.Identity())  # keeps the names of the others
        self.register_state_dict_post_hook(_to_original_form)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_original_form)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        heads = iter(self.entry(x).split(self.widths, dim=1))
        outputs = [
            getattr(self, name)(next(heads) if is_fused else x)
            for name, is_fused in self.branches.items()
        ]
        return torch.cat(outputs, dim=1)  # N out_channels H W


def _siblings(block: nn.Module) -> dict[str, str]:
    """Return the paths of the 1×1 units that read a block's input, by the names of the branches."""
    paths = {}
    for name in _BRANCHES[type(block)]:
        branch = block.get_submodule(name)
        path, first = (
            (f"{name}.0", branch[0]) if isinstance(branch, nn.Sequential) else (name, branch)
        )
        conv = getattr(first, "conv", None)
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (1, 1):
            paths[name] = path
    return paths


def _joined(units: Sequence[nn.Module]) -> nn.Module:
    """Return a unit whose output channels are those of all ``units``, which are of one kind."""
    joined = copy.deepcopy(units[0])
    for path, part in joined.named_modules():
        parts = [unit.get_submodule(path) for unit in units]
        for name, parameter in list(part.named_parameters(recurse=False)):
            values = torch.cat([getattr(part, name).detach() for part in parts])
            setattr(part, name, nn.Parameter(values, parameter.requires_grad))
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.ndim:  # not the number of batches
                setattr(part, name, torch.cat([getattr(part, name) for part in parts]))
        for name in ("out_channels", "num_features"):
            if hasattr(part, name):
                setattr(part, name, sum(getattr(part, name) for part in parts))
    return joined


def _to_original_form(
    block: FusedInception, state: dict[str, Tensor], prefix: str, _: object
) -> None:
    """Divide the tensors of ``entry`` among the units that it was made of."""
    for name in block.entry.state_dict():
        joined = state.pop(f"{prefix}entry.{name}")
        parts = joined.split(block.widths) if joined.ndim else [joined] * len(block.widths)
        state.update(
            {f"{prefix}{path}.{name}": part for path, part in zip(block.paths, parts, strict=True)}
        )


def _from_original_form(
    block: FusedInception, state: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    """Concatenate the tensors of the units that ``entry`` was made of."""
    for name in block.entry.state_dict():
        keys = [f"{prefix}{path}.{name}" for path in block.paths]
        if all(key in state for key in keys):
            parts = [state.pop(key) for key in keys]
            state[f"{prefix}entry.{name}"] = torch.cat(parts) if parts[0].ndim else parts[0]
