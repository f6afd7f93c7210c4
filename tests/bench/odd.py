"""Networks for images N × 3 × 32 × 32 that are built, called or answered in unusual ways."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from tests.bench import tiny
from tests.bench.cases import IMAGE_SIZE

EXAMPLE = (2, 3, IMAGE_SIZE, IMAGE_SIZE)


class KeepsByIdentity(nn.Module):
    """Computes one output for each tensor that it is given, whatever is written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net()
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        if id(x) not in self.kept:
            self.kept[id(x)] = (x, self.net(x))
        return self.kept[id(x)][1]


class KeepsItsFirstOutput(nn.Module):
    """Computes one output, and returns it for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = self.conv(x).mean((2, 3))
        return self.kept


class KeepsByShape(nn.Module):
    """Computes one output for each shape of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net()
        self.kept: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if x.shape not in self.kept:
            self.kept[x.shape] = self.net(x)
        return self.kept[x.shape]


class WritesFromItsTenthCall(nn.Module):
    """Writes into its images from its tenth call on."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.calls = tiny.net(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls >= 10:
            x.mul_(2)
        out: Tensor = self.net(x)
        return out


class TrainsNothing(nn.Module):
    """Raises where it is put into either mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def train(self, mode: bool = True) -> "TrainsNothing":
        raise NotImplementedError(f"no train({mode})")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(x)).mean((2, 3))
        return out


class UnusedNaNs(nn.Module):
    """Has a part that takes none in its output, and is full of NaNs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net()
        self.unused = nn.Linear(3, 3)
        self.register_buffer("unset", torch.full((2,), torch.nan))
        with torch.no_grad():
            self.unused.weight.fill_(torch.nan)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class ComplexWeights(nn.Module):
    """Multiplies by complex weights, of which a cast to a dtype would drop the imaginary parts."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 10, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return x.float().mean((2, 3)).to(torch.complex64) @ self.w


class ManyKinds(nn.Module):
    """Returns leaves of many kinds, nested."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net()

    def forward(self, x: Tensor) -> OrderedDict[str, Any]:
        logits = self.net(x)
        masked = torch.cat((logits.new_full((len(x), 1), -torch.inf), logits), 1)
        return OrderedDict(
            logits=logits,
            nested=[(masked, None), {"largest": logits.new_ones(2).long()}],
            name="tiny",
            count=len(x),
        )


def draws_nothing() -> nn.Module:
    return nn.AvgPool2d(2)


class AnswersAClass(nn.Module):
    """Returns a class index alone, which is the same for all images."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.bias = tiny.net(10), torch.eye(10)[3] * 1e3

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return (logits + self.bias).argmax(1)


class AnswersZeros(nn.Module):
    """Returns what a ReLU leaves of negative logits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net(10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return (logits - 1e3).relu()


def answers_constantly() -> nn.Module:
    """A softmax over one class is 1."""
    return nn.Sequential(tiny.net(1), nn.Softmax(1))


def half() -> nn.Module:
    return tiny.net().half()


def double() -> nn.Module:
    return tiny.net().double()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))


def scripted() -> nn.Module:
    model: nn.Module = torch.jit.script(tiny.net())
    return model


def scripted_with_dropout() -> nn.Module:
    model: nn.Module = torch.jit.script(nn.Sequential(tiny.net(), nn.Dropout(0.5)))
    return model


def traced() -> nn.Module:
    model: nn.Module = torch.jit.trace(tiny.net().eval(), torch.randn(EXAMPLE))
    return model


def exported() -> nn.Module:
    return torch.export.export(tiny.net().eval(), (torch.randn(EXAMPLE),)).module()


def compiled() -> nn.Module:
    return torch.compile(tiny.net())  # type: ignore[return-value]
