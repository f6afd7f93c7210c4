"""Small networks for ``tests.bench.factories:NAME``, and objects that are not networks."""

import torch
from torch import Tensor, nn

CHANNELS = 8
CLASSES = 1000


def tiny() -> nn.Module:
    """Return a 7×7/4 convolution, a global average and a classifier."""
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, kernel_size=7, stride=4, padding=3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, CLASSES),
    )


class _Distances(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3))
        logits: Tensor = self.fc(means + torch.cdist(means, means).sum())
        return logits


def distances() -> nn.Module:
    """Return a network with an operator that no counter supports."""
    return _Distances()


def not_a_network() -> dict[str, int]:
    return {"weights": 0}


not_callable = 3.14
