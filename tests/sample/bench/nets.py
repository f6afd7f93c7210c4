"""Two small networks."""

import time

import torch
from torch import nn


class Net(nn.Module):
    """A linear classifier of one-channel images that takes some milliseconds."""

    def __init__(self, width: int) -> None:
        """Set the layers."""
        super().__init__()
        self.hidden = nn.Linear(28 * 28, width)
        self.output = nn.Linear(width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, N x 10."""
        time.sleep(0.01)
        logits: torch.Tensor = self.output(self.hidden(images.flatten(1)).relu())
        return logits


def small() -> Net:
    """Return the small network."""
    return Net(width=16)


def wide() -> Net:
    """Return the wide network."""
    return Net(width=64)
