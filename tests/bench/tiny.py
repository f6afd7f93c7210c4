"""A network small enough to be measured in a test, named ``tests.bench.tiny:net``."""

from torch import nn

NUM_CLASSES = 1000
CHANNELS = 4


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, kernel_size=3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, NUM_CLASSES),
    )
