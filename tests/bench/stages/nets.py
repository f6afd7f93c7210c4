"""Networks with known stages, for ``tests.bench.stages.nets:NAME``."""

import time

from torch import Tensor, nn

CLASSES = 1000
CHANNELS = 4
SLEEP_S = 0.05


class Sleeps(nn.Module):
    """A module that sleeps and returns its input."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(SLEEP_S)
        return x


class Net(nn.Module):
    """A convolution, the module ``middle`` and a classifier; the mean is in none of them."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, kernel_size=8, stride=8, bias=False)
        self.middle = middle
        self.fc = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.middle(self.conv(x)).mean(dim=(2, 3))
        logits: Tensor = self.fc(x)
        return logits


def conv_macs(image_size: int) -> int:
    return 3 * 8 * 8 * CHANNELS * (image_size // 8) ** 2


FC_MACS = CHANNELS * CLASSES


def plain() -> nn.Module:
    return Net(nn.ReLU())


def sleeps() -> nn.Module:
    return Net(Sleeps())


class _Rewritten(Net):
    """A network that calls its convolution only in its first call, which is the counted one.

    A network that a mode rewrites does the same: it is counted before the rewrite.
    """

    called = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.called:
            self.called = True
            return super().forward(x)
        features = nn.functional.conv2d(x, self.conv.weight, stride=8)
        logits: Tensor = self.fc(self.middle(features).mean(dim=(2, 3)))
        return logits


def rewritten() -> nn.Module:
    return _Rewritten(nn.ReLU())


class _Uncalled(Net):
    """A network with a child that is never called."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU())
        self.aside = nn.Linear(CHANNELS, CLASSES)


def uncalled() -> nn.Module:
    return _Uncalled()
