"""The channels_last memory format."""

from typing import TYPE_CHECKING

from bench.capabilities import EVERY_TASK
from bench.rewrites.rewrite import Rewrite

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.archs.source import Inputs


def _apply(module: "nn.Module", example: "Inputs") -> "nn.Module":
    import torch

    del example
    return module.to(memory_format=torch.channels_last)


def _arrange(tensor: "Tensor") -> "Tensor":
    import torch

    if tensor.ndim != 4:  # the format exists only for N × C × H × W
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


_CODE = """\
model = model.to(memory_format=torch.channels_last)
example = tuple(  # and so every input later on
    each.contiguous(memory_format=torch.channels_last) if each.ndim == 4 else each
    for each in example
)
"""
CHANNELS_LAST = Rewrite(
    name="channels_last",
    what="weights and input stored N H W C",
    apply=_apply,
    code=_CODE,
    arrange=_arrange,
    is_memory_format=True,
    tasks=EVERY_TASK,
)
