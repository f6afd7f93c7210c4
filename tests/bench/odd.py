"""Networks for images N × 3 × 32 × 32 with unusual constructors, calls or outputs."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from tests.bench import tiny
from tests.bench.cases import IMAGE_SIZE

EXAMPLE = (2, 3, IMAGE_SIZE, IMAGE_SIZE)


class KeepsByIdentity(nn.Module):
    """Caches one output per input tensor, and ignores later changes of the tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net()
        self.cache: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        if id(x) not in self.cache:
            self.cache[id(x)] = (x, self.net(x))
        return self.cache[id(x)][1]


class KeepsItsFirstOutput(nn.Module):
    """Computes its first output, and returns it at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.first: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.first is None:
            self.first = self.conv(x).mean((2, 3))
        return self.first


class KeepsByShape(nn.Module):
    """Caches one output per shape of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net()
        self.cache: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if x.shape not in self.cache:
            self.cache[x.shape] = self.net(x)
        return self.cache[x.shape]


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
    """Raises from ``train()`` and ``eval()``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def train(self, mode: bool = True) -> "TrainsNothing":
        raise NotImplementedError(f"no train({mode})")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(x)).mean((2, 3))
        return out


class UnusedNaNs(nn.Module):
    """Has a layer and a buffer that are full of NaNs, but do not affect the output."""

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
    """Multiplies by complex weights, whose imaginary parts a cast to a real dtype would drop."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 10, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return x.float().mean((2, 3)).to(torch.complex64) @ self.w


class ManyKinds(nn.Module):
    """Returns nested leaves of many types."""

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
    """Returns only a class index, which is the same for all images."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.bias = tiny.net(10), torch.eye(10)[3] * 1e3

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return (logits + self.bias).argmax(1)


class AnswersZeros(nn.Module):
    """Returns the ReLU of negative logits, which is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny.net(10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return (logits - 1e3).relu()


def answers_constantly() -> nn.Module:
    """Return a network whose output is always 1: a softmax over one class."""
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
