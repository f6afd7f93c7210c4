"""Injected slowdowns: GoogLeNet with so much work added, for a gate to find or not.

A factory's name says what is added and how much of it: ``bench.power.injection:conv_37``. What a
unit of it takes, bench/power/calibration.py measures.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from googlenet import build

NETWORK = "googlenet"
SLOW_EVERY = 10
_CHANNELS, _SIZE = 16, 28  # of a convolution that takes a fraction of a percent of GoogLeNet
_PYTHON_STEPS = 1_000
_SHARE = 1e-3  # of the result


class Convolutions(nn.Module):
    """Convolutions one after the other, whose output feeds the result."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _CHANNELS, 3, padding=1)
        self.more = nn.ModuleList(
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1) for _ in range(amount)
        )

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Logits N × classes, with the mean of what images N × 3 × H × W gave."""
        found: Tensor = self.first(images[..., :_SIZE, :_SIZE])
        for convolution in self.more:
            found = found + _SHARE * convolution(found)
        return logits + _SHARE * found.mean()


class Stutter(nn.Module):
    """Convolutions in one forward of ten, ten times as many; the result is left as it was."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.convolutions = Convolutions(SLOW_EVERY * amount)
        self.calls = 0

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """The logits."""
        self.calls += 1
        if self.calls % SLOW_EVERY:
            return logits
        slowed: Tensor = self.convolutions(torch.zeros_like(logits), images)
        return logits + 0.0 * slowed


class PythonWork(nn.Module):
    """Work of the interpreter alone, as a hook or a shape computation is."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.steps = amount * _PYTHON_STEPS

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """The logits."""
        del images
        found = 0
        for step in range(self.steps):
            found ^= step
        return logits + 0.0 * found


class Breaks(nn.Module):
    """Graph breaks under ``torch.compile``, with an addition after each; eager hardly notices."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        # One inside the other: of a loop that breaks, Dynamo compiles nothing.
        self.inner = Breaks(amount - 1) if amount > 1 else None

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """The logits, moved by next to nothing."""
        if self.inner is not None:
            logits = self.inner(logits, images)
        torch._dynamo.graph_break()
        return logits + _SHARE * images.mean()


class Nothing(nn.Module):
    """No work."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        del amount

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """The logits."""
        del images
        return logits


KINDS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "none": Nothing,
        "conv": Convolutions,
        "python": PythonWork,
        "stutter": Stutter,
        "break": Breaks,
    }
)


class Injected(nn.Module):
    """GoogLeNet, and extra work after it."""

    def __init__(self, kind: str, amount: int) -> None:
        super().__init__()
        self.network = build(NETWORK)
        self.added = KINDS[kind](amount)

    def forward(self, images: Tensor) -> Tensor:
        """Logits N × classes of images N × 3 × H × W."""
        logits: Tensor = self.added(self.network(images), images)
        return logits


def arch(kind: str, amount: int) -> str:
    """The name of the arch with so much work added."""
    return f"{__name__}:{kind}_{amount}"


def __getattr__(name: str) -> Callable[[], nn.Module]:
    """The factory of a name such as ``conv_37``."""
    kind, _, amount = name.rpartition("_")
    if kind not in KINDS or not amount.isdecimal():
        raise AttributeError(f"{name!r} is no injection: expected KIND_AMOUNT")
    return lambda: Injected(kind, int(amount))
