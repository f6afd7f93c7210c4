"""One network under several names, for A/A comparisons of equal archs."""

from torch import nn

from googlenet import build

NAMES = ("first", "second", "third", "fourth", "fifth", "sixth")
ARCHS = tuple(f"{__name__}:{name}" for name in NAMES)


def first() -> nn.Module:
    """Return torchvision's GoogLeNet, without auxiliary heads."""
    return build("torchvision", aux=False)


second = third = fourth = fifth = sixth = first
