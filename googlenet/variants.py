"""The registry of networks by name; each differs from a neighbour in one factor.

Listing them does not import torch; building one does.
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
    """A named network, the neighbour it is compared with, and the factor that differs."""

    name: str
    neighbour: str | None
    """Name of the variant that differs in one factor; None for the first of the ladder."""
    factor: str
    """The difference from the neighbour, in one line."""
    source: str
    """Paper or code that the variant follows."""
    config: GoogLeNetConfig | None
    """None if the network is torchvision's own class."""


SEED = GoogLeNetConfig()
# Dropout acts only in training; it does not affect the result or the cost of inference.
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
        factor="kernel 2 in the last max pool: torchvision's network and dropouts in this code",
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
        factor="the implementation: torchvision's own class",
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
        factor="a depthwise-separable stem, as implied by Table 1's 2.7K and 34M",
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
        factor="no max pool in the pooling branch, which is then a second 1×1 branch",
        source=f"{PAPER}, section 4, on why there is a pooling branch",
        config=replace(SEED, branch_pool=False),
    ),
    Variant(
        name="googlenet-bias",
        neighbour="googlenet",
        factor="convolution biases before batch norm, which has its own bias",
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
    """Build a registered network with random weights, in training mode (PyTorch's default).

    ``aux`` selects whether it has auxiliary heads. Raises ``ValueError`` for an unknown name, and
    for a number of input channels that torchvision's class does not support.
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
