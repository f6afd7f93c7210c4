"""One network under several names: archs that a fair measurement finds no difference between."""

from torch import nn

from googlenet import build

NAMES = ("first", "second", "third", "fourth", "fifth", "sixth")
ARCHS = tuple(f"{__name__}:{name}" for name in NAMES)


def first() -> nn.Module:
    """GoogLeNet as torchvision has it."""
    return build("torchvision", aux=False)


second = third = fourth = fifth = sixth = first
