"""The registry: every network by name, each one factor away from a neighbour.

Listing imports no torch; building does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from googlenet.config import GoogLeNetConfig

if TYPE_CHECKING:
    from torch import nn

PAPER = "arXiv:1409.4842"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A named network, the neighbour it is compared with, and the one thing that differs."""

    name: str
    neighbour: str | None
    """The variant that it differs from in one factor; None for where the ladder starts."""
    factor: str
    """What differs from the neighbour, in a line."""
    source: str
    config: GoogLeNetConfig | None
    """None where the code is torchvision's."""


SEED = GoogLeNetConfig()
# Dropout acts in training only; it is no part of what a forward pass computes or costs.
TORCHVISION_DROPOUT, TORCHVISION_AUX_DROPOUT = 0.2, 0.7

_ALL = (
    Variant(
        name="googlenet",
        neighbour=None,
        factor="5×5 branch, kernel-3 last pool, batch norm, bias-free, adaptive 4×4 heads",
        source=f"{PAPER} with batch norm; the network this project started from",
        config=SEED,
    ),
    Variant(
        name="googlenet-3x3",
        neighbour="googlenet",
        factor="a 3×3 convolution in the 5×5 branch",
        source="torchvision and TF-slim; pytorch/vision issue 906",
        config=replace(SEED, branch5x5="3x3"),
    ),
    Variant(
        name="googlenet-pool2",
        neighbour="googlenet",
        factor="kernel 2 in the last max pool",
        source="torchvision and TF-slim, maxpool4",
        config=replace(SEED, last_pool_kernel=2),
    ),
    Variant(
        name="googlenet-3x3-pool2",
        neighbour="googlenet-3x3",
        factor="kernel 2 in the last max pool: torchvision's network (and dropouts) in our code",
        source="torchvision, models/googlenet.py",
        config=replace(
            SEED,
            branch5x5="3x3",
            last_pool_kernel=2,
            dropout=TORCHVISION_DROPOUT,
            aux_dropout=TORCHVISION_AUX_DROPOUT,
        ),
    ),
    Variant(
        name="torchvision",
        neighbour="googlenet-3x3-pool2",
        factor="whose code: torchvision's own class",
        source="torchvision, models/googlenet.py",
        config=None,
    ),
    Variant(
        name="googlenet-double3x3",
        neighbour="googlenet",
        factor="two stacked 3×3 convolutions in the 5×5 branch",
        source="Inception v2/v3, arXiv:1512.00567, section 3.1",
        config=replace(SEED, branch5x5="double3x3"),
    ),
    Variant(
        name="googlenet-separable",
        neighbour="googlenet",
        factor="a depthwise-separable stem, which Table 1's 2.7K and 34M imply",
        source="TF-slim, inception_v2.py, Conv2d_1a_7x7",
        config=replace(SEED, stem="separable"),
    ),
    Variant(
        name="googlenet-naive",
        neighbour="googlenet",
        factor="no 1×1 reductions before the 3×3 and 5×5 convolutions; same output widths",
        source=f"{PAPER}, Figure 2a",
        config=replace(SEED, reductions=False),
    ),
    Variant(
        name="googlenet-no-pool",
        neighbour="googlenet",
        factor="the pooling branch without its pooling: a second 1×1 branch",
        source=f"{PAPER}, section 4, on why there is a pooling branch",
        config=replace(SEED, branch_pool=False),
    ),
    Variant(
        name="googlenet-bias",
        neighbour="googlenet",
        factor="convolution biases kept under batch norm, which has a bias of its own",
        source="Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2",
        config=replace(SEED, conv_bias=True),
    ),
    Variant(
        name="googlenet-caffe",
        neighbour="googlenet",
        factor="two LRNs and biases instead of batch norm; the paper's heads and dropouts",
        source="BVLC Caffe, models/bvlc_googlenet/train_val.prototxt",
        config=replace(SEED, norm="lrn", aux_pool="average5x5", dropout=0.4, aux_dropout=0.7),
    ),
)
VARIANTS: Mapping[str, Variant] = MappingProxyType({variant.name: variant for variant in _ALL})


def build(
    name: str, *, aux: bool = False, num_classes: int = 1000, in_channels: int = 3
) -> "nn.Module":
    """Build a registered network with random weights, in training mode as PyTorch does.

    ``aux`` says whether it gets its auxiliary heads. Raises ``ValueError`` for a name that is not
    registered, and for input channels that torchvision's class does not have.
    """
    if name not in VARIANTS:
        nearest = get_close_matches(name, VARIANTS, n=1)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(f"no variant is called {name!r}; {hint}known: {', '.join(VARIANTS)}")
    config = VARIANTS[name].config
    if config is None:
        if in_channels != 3:
            raise ValueError(f"torchvision's GoogLeNet takes 3 input channels, not {in_channels}")
        from googlenet.reference import TorchvisionGoogLeNet

        return TorchvisionGoogLeNet(aux=aux, num_classes=num_classes)
    from googlenet.model import GoogLeNet

    changes: dict[str, Any] = {} if aux else {"aux_pool": None}
    return GoogLeNet(replace(config, num_classes=num_classes, in_channels=in_channels, **changes))
