"""The auxiliary heads, the output in training mode, and the loss."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import has_side_effect

from googlenet.blocks import ConvUnit
from googlenet.config import GoogLeNetConfig
from googlenet.images import shape_of

torch.fx.wrap("check_sides")  # keeps the check as one call: torch.fx traces without shapes

AUX_LOSS_WEIGHT = (
    0.3  # the paper, section 5: "losses of the auxiliary classifiers … weighted by 0.3"
)
AUX_GRID = 4  # height and width after an auxiliary head's pooling, in pixels


class GoogLeNetOutput(NamedTuple):
    """The output of a network with auxiliary heads in training; each tensor is N × num_classes."""

    logits: Tensor
    aux1: Tensor
    """Logits of the head on Inception 4a."""
    aux2: Tensor
    """Logits of the head on Inception 4d."""


@has_side_effect  # otherwise torch.fx removes the call as dead code, since it returns nothing
def check_sides(x: Tensor) -> None:
    """Raise ``ValueError`` unless the 5×5/3 average pool of N × C × H × W gives 4×4.

    The first linear layer of an auxiliary head needs 4×4, so H and W must be 14 to 16 pixels.
    Under ``torch.jit.script`` the check is skipped.
    """
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        _raise_unless_pooled_to_grid(*shape_of(x)[2:])


def _raise_unless_pooled_to_grid(height: int, width: int) -> None:
    if any((side - 5) // 3 + 1 != AUX_GRID for side in (height, width)):
        raise ValueError(
            f"the 5×5/3 average pool of an auxiliary head needs 14 to 16 pixels per side; got "
            f"{height}×{width}: train on images near 224×224, or choose aux_pool='adaptive4x4'"
        )


class AuxHead(nn.Module):
    """An auxiliary classifier: pool to 4×4, 1×1 convolution to 128, two linear layers."""

    def __init__(self, in_channels: int, config: GoogLeNetConfig) -> None:
        super().__init__()
        self.averages = config.aux_pool == "average5x5"
        self.pool: nn.Module = (
            nn.AvgPool2d(kernel_size=5, stride=3)
            if self.averages
            else nn.AdaptiveAvgPool2d(AUX_GRID)
        )
        self.conv = ConvUnit(in_channels, 128, config)
        self.fc1 = nn.Linear(128 * AUX_GRID * AUX_GRID, 1024)
        self.dropout = nn.Dropout(config.aux_dropout)
        self.fc2 = nn.Linear(1024, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if self.averages:
            check_sides(x)
        x = self.pool(x)  # N in_channels 4 4
        x = self.conv(x).flatten(start_dim=1)  # N 2048
        x = F.relu(self.fc1(x), inplace=True)  # N 1024
        logits: Tensor = self.fc2(self.dropout(x))  # N num_classes
        return logits


def loss(output: Tensor | GoogLeNetOutput, target: Tensor) -> Tensor:
    """Return the cross-entropy of the logits plus 0.3 times that of each auxiliary head, if any.

    ``output`` is the network's output, ``target`` holds N class indices; the result is a scalar.
    Source: the paper, section 5.
    """
    if isinstance(output, Tensor):
        return F.cross_entropy(output, target)
    auxiliary = F.cross_entropy(output.aux1, target) + F.cross_entropy(output.aux2, target)
    return F.cross_entropy(output.logits, target) + AUX_LOSS_WEIGHT * auxiliary
