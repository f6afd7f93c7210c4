"""The building blocks: convolution with its norm and ReLU, the two stems, the Inception block.

Shapes are N C H W: batch, channels, height, width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from googlenet.config import GoogLeNetConfig, InceptionWidths


class ConvUnit(nn.Module):
    """Convolution, optional batch norm and ReLU; odd kernels with stride 1 keep H and W."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        config: GoogLeNetConfig,
        *,
        kernel_size: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            bias=config.convolutions_have_bias,
        )
        self.bn = (
            nn.BatchNorm2d(out_channels, eps=config.batch_norm_eps)
            if config.norm == "batch"
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x)
        return F.relu(x, inplace=True)


class SeparableStem(nn.Module):
    """Depthwise 7×7/2 with channel multiplier 8, then a pointwise unit, as in TF-slim.

    For three input channels that is 7·7·3·8 + 24·64 = 2,712 weights, Table 1's 2.7K.
    Source: tensorflow/models, research/slim/nets/inception_v2.py, Conv2d_1a_7x7.
    """

    MULTIPLIER = 8

    def __init__(self, in_channels: int, out_channels: int, config: GoogLeNetConfig) -> None:
        super().__init__()
        depthwise_channels = in_channels * self.MULTIPLIER
        self.depthwise = nn.Conv2d(
            in_channels,
            depthwise_channels,
            kernel_size=7,
            stride=2,
            padding=3,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = ConvUnit(depthwise_channels, out_channels, config)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(x)  # N 24 112 112
        output: Tensor = self.pointwise(x)  # N 64 112 112
        return output


def stem(in_channels: int, out_channels: int, config: GoogLeNetConfig) -> nn.Module:
    """Return the first convolution, 7×7 with stride 2, in the configured form."""
    if config.stem == "separable":
        return SeparableStem(in_channels, out_channels, config)
    return ConvUnit(in_channels, out_channels, config, kernel_size=7, stride=2)


class Inception(nn.Module):
    """Four parallel branches, concatenated over channels; H and W do not change."""

    def __init__(self, in_channels: int, widths: InceptionWidths, config: GoogLeNetConfig) -> None:
        super().__init__()
        self.branch1x1 = ConvUnit(in_channels, widths.conv1x1, config)
        self.branch3x3 = nn.Sequential(
            *_reduced(in_channels, widths.reduce3x3, widths.conv3x3, [3], config)
        )
        kernels = {"5x5": [5], "3x3": [3], "double3x3": [3, 3]}[config.branch5x5]
        self.branch5x5 = nn.Sequential(
            *_reduced(in_channels, widths.reduce5x5, widths.conv5x5, kernels, config)
        )
        self.branch_pool = nn.Sequential(ConvUnit(in_channels, widths.pool_proj, config))
        if config.branch_pool:
            self.branch_pool.insert(0, nn.MaxPool2d(kernel_size=3, stride=1, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.branch1x1(x), self.branch3x3(x), self.branch5x5(x), self.branch_pool(x)]
        return torch.cat(branches, dim=1)  # N out_channels H W


def _reduced(
    in_channels: int, reduced: int, out_channels: int, kernels: list[int], config: GoogLeNetConfig
) -> list[ConvUnit]:
    """Return the 1×1 reduction, if configured, and the branch's own convolutions."""
    units = [ConvUnit(in_channels, reduced, config)] if config.reductions else []
    channels = reduced if config.reductions else in_channels
    for kernel_size in kernels:
        units.append(ConvUnit(channels, out_channels, config, kernel_size=kernel_size))
        channels = out_channels
    return units
