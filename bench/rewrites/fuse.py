"""GoogLeNet's sibling 1×1 convolutions as one."""

from typing import TYPE_CHECKING

from bench.errors import RequestError
from bench.rewrites.rewrite import Rewrite

if TYPE_CHECKING:
    from torch import nn

    from bench.archs.source import Inputs


def _apply(module: "nn.Module", example: "Inputs") -> "nn.Module":
    """Return a copy with fused Inception blocks. Raises ``RequestError`` if there are none."""
    from googlenet.fuse import fuse

    del example
    try:
        return fuse(module)
    except ValueError as error:
        raise RequestError(f"{error}: choose a mode without {FUSE.name}") from error


FUSE = Rewrite(
    name="fuse",
    what="GoogLeNet and torchvision's only: the 1×1 convolutions that read the same input, as one",
    apply=_apply,
    code="from googlenet.fuse import fuse\n\nmodel = fuse(model)\n",
    # May sum in another order. Ten times the largest error measured in fp32, on all variants with
    # random batch norms: 1e-6, after fold.
    error_budget=1e-5,
    order=2,
    limits="its weights have other names and shapes than the network's own",
)
