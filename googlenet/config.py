"""The configuration of GoogLeNet, and the block widths of the paper's Table 1.

This module does not import torch, so that listing the variants is fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionWidths:
    """Output channels of the convolutions of one Inception block, named as Table 1's columns."""

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_proj: int

    @property
    def out_channels(self) -> int:
        """Channels of the four concatenated branches."""
        return self.conv1x1 + self.conv3x3 + self.conv5x5 + self.pool_proj


# Szegedy et al. 2014 (arXiv:1409.4842), Table 1.
INCEPTION_WIDTHS: Mapping[str, InceptionWidths] = MappingProxyType(
    {
        "3a": InceptionWidths(
            conv1x1=64, reduce3x3=96, conv3x3=128, reduce5x5=16, conv5x5=32, pool_proj=32
        ),
        "3b": InceptionWidths(
            conv1x1=128, reduce3x3=128, conv3x3=192, reduce5x5=32, conv5x5=96, pool_proj=64
        ),
        "4a": InceptionWidths(
            conv1x1=192, reduce3x3=96, conv3x3=208, reduce5x5=16, conv5x5=48, pool_proj=64
        ),
        "4b": InceptionWidths(
            conv1x1=160, reduce3x3=112, conv3x3=224, reduce5x5=24, conv5x5=64, pool_proj=64
        ),
        "4c": InceptionWidths(
            conv1x1=128, reduce3x3=128, conv3x3=256, reduce5x5=24, conv5x5=64, pool_proj=64
        ),
        "4d": InceptionWidths(
            conv1x1=112, reduce3x3=144, conv3x3=288, reduce5x5=32, conv5x5=64, pool_proj=64
        ),
        "4e": InceptionWidths(
            conv1x1=256, reduce3x3=160, conv3x3=320, reduce5x5=32, conv5x5=128, pool_proj=128
        ),
        "5a": InceptionWidths(
            conv1x1=256, reduce3x3=160, conv3x3=320, reduce5x5=32, conv5x5=128, pool_proj=128
        ),
        "5b": InceptionWidths(
            conv1x1=384, reduce3x3=192, conv3x3=384, reduce5x5=48, conv5x5=128, pool_proj=128
        ),
    }
)

Branch5x5 = Literal["5x5", "3x3", "double3x3"]
Norm = Literal["batch", "lrn"]
Stem = Literal["dense", "separable"]
AuxPool = Literal["adaptive4x4", "average5x5"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogLeNetConfig:
    """The configuration of a GoogLeNet; the defaults give the variant ``googlenet``."""

    branch5x5: Branch5x5 = "5x5"
    """Kernels of the second reduced branch: the paper's 5×5, torchvision's 3×3
    (pytorch/vision issue 906), or two stacked 3×3 (arXiv:1512.00567, section 3.1)."""
    reductions: bool = True
    """1×1 convolutions before the 3×3 and 5×5 ones; False is the paper's Figure 2a."""
    branch_pool: bool = True
    """The 3×3 max pool before the pooling branch's projection."""
    last_pool_kernel: Literal[2, 3] = 3
    """Kernel of the max pool between stages 4 and 5; its stride is 2 either way."""
    norm: Norm = "batch"
    """Batch norm after every convolution, or only the paper's two local response norms."""
    batch_norm_eps: float = 1e-3
    """Epsilon of batch norm, as in torchvision and TF-slim; PyTorch's default is 1e-5. It does not
    affect the cost."""
    conv_bias: bool = False
    """Biases of convolutions before batch norm; without batch norm they always exist."""
    stem: Stem = "dense"
    """The 7×7 convolution: dense, or depthwise (multiplier 8) and pointwise as in TF-slim."""
    aux_pool: AuxPool | None = "adaptive4x4"
    """Pooling of the auxiliary heads: same output shape, different values. None builds no heads."""
    dropout: float = 0.0
    """Dropout probability before the classifier."""
    aux_dropout: float = 0.0
    """Dropout probability between the two linear layers of an auxiliary head."""
    num_classes: int = 1000
    in_channels: int = 3

    @property
    def convolutions_have_bias(self) -> bool:
        """Whether convolutions have a bias: by ``conv_bias``, or because no batch norm follows."""
        return self.conv_bias or self.norm == "lrn"

    @property
    def min_image_size(self) -> int:
        """Smallest height and width that leave a pixel after every pooling, in pixels."""
        size = _pool_input(self.last_pool_kernel, output=1)
        for _ in ("pool3", "pool2", "pool1"):
            size = _pool_input(3, output=size)
        return 2 * size - 1  # conv1: floor((n - 1) / 2) + 1 with padding 3


def _pool_input(kernel: int, *, output: int) -> int:
    """Return the smallest input of a stride-2 ceil-mode pool that gives ``output`` pixels."""
    return kernel + 2 * (output - 2) + 1
