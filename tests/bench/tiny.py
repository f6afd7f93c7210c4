"""A network that is small enough to be measured in a test: ``tests.bench.tiny:net``."""

from torch import nn

NUM_CLASSES = 1000
CHANNELS = 4


def net(classes: int = NUM_CLASSES) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, kernel_size=3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, classes),
    )


def from_zero() -> nn.Module:
    """Return a network whose classifier is initialised with zeros, like ViT's."""
    network = net()
    for parameter in network[-1].parameters():
        nn.init.zeros_(parameter)
    return network


def of_ten_classes() -> nn.Module:
    return net(10)


def for_images_of_48() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 10))


for_images_of_48.image_size = 48  # type: ignore[attr-defined]


def for_images_of_text() -> nn.Module:
    return net()


for_images_of_text.image_size = "48"  # type: ignore[attr-defined]
