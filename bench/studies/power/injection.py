"""Injected slowdowns: GoogLeNet with extra work that a gate should find.

The name of a factory has the kind of the work and its amount in units:
``bench.studies.power.injection:conv_37``. calibration.py measures the time of a unit.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from googlenet import build

NETWORK = "googlenet"
SLOW_EVERY = 10
_CHANNELS, _SIZE = 16, 28  # such a convolution takes a fraction of a percent of GoogLeNet's time
_PYTHON_STEPS = 1_000
_SHARE = 1e-3  # weight of the extra work in the logits


class Convolutions(nn.Module):
    """Convolutions in sequence, whose output feeds the logits."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _CHANNELS, 3, padding=1)
        self.more = nn.ModuleList(
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1) for _ in range(amount)
        )

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Add the scaled mean of the convolutions of images (N 3 H W) to the logits (N classes)."""
        features: Tensor = self.first(images[..., :_SIZE, :_SIZE])
        for convolution in self.more:
            features = features + _SHARE * convolution(features)
        return logits + _SHARE * features.mean()


class Stutter(nn.Module):
    """Ten times as many convolutions in one forward of ten; the logits do not change."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.convolutions = Convolutions(SLOW_EVERY * amount)
        self.calls = 0

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Return the logits unchanged."""
        self.calls += 1
        if self.calls % SLOW_EVERY:
            return logits
        zero: Tensor = self.convolutions(torch.zeros_like(logits), images)
        return logits + 0.0 * zero


class PythonWork(nn.Module):
    """Work of the Python interpreter only, like a hook or a shape computation."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.steps = amount * _PYTHON_STEPS

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Return the logits unchanged."""
        del images
        value = 0
        for step in range(self.steps):
            value ^= step
        return logits + 0.0 * value


class Breaks(nn.Module):
    """Graph breaks under ``torch.compile``, with an addition after each; nearly free in eager."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        # Nested, because Dynamo compiles nothing of a loop that has a graph break.
        self.inner = Breaks(amount - 1) if amount > 1 else None

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Return the logits with a small offset."""
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
        """Return the logits unchanged."""
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
    """GoogLeNet followed by extra work."""

    def __init__(self, kind: str, amount: int) -> None:
        super().__init__()
        self.network = build(NETWORK)
        self.added = KINDS[kind](amount)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N classes) of images (N 3 H W)."""
        logits: Tensor = self.added(self.network(images), images)
        return logits


def arch(kind: str, amount: int) -> str:
    """Return the name of the arch with ``amount`` units of ``kind`` injected."""
    return f"{__name__}:{kind}_{amount}"


def __getattr__(name: str) -> Callable[[], nn.Module]:
    """Return the factory for a name such as ``conv_37``."""
    kind, _, amount = name.rpartition("_")
    if kind not in KINDS or not amount.isdecimal():
        raise AttributeError(
            f"{name!r} is not the name of an injection: expected KIND_AMOUNT, such as conv_37"
        )
    return lambda: Injected(kind, int(amount))
