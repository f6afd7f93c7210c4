"""Networks that a careless counter, timer or comparison gets wrong, for images N × 3 × 32 × 32.

``MACS`` has the multiply-accumulates of one image, calculated by hand. They equal half of what
``torch.utils.flop_counter.FlopCounterMode`` counts on random images in ``eval()``. A name such as
``tests.bench.cases:Einsum`` is an arch.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGE_SIZE = 32


class MatmulLeft(nn.Module):
    """A product whose right operand has the batch: 16 × 32 @ N × 3 × 32 × 32."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(16, 32))

    def forward(self, x: Tensor) -> Tensor:
        return self.w @ x


class BroadcastRight(nn.Module):
    """A product that broadcasts one matrix of the left operand to five of the right operand."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(1, 5, 32, 8))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] @ self.w


class MatrixVector(nn.Module):
    """A product whose right operand has one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.randn(32))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.v


class Einsum(nn.Module):
    """A product whose count has six digits, so that rounding for display is visible."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(37, 3, 29))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,kcw->nkhw", x[..., :29], self.w)


class EinsumSum(nn.Module):
    """An einsum of one operand, which multiplies nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw->nc", x)


class EinsumChain(nn.Module):
    """An einsum of three operands, which PyTorch contracts pair by pair."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(32, 50))
        self.k = nn.Parameter(torch.randn(50, 7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,wk,kj->ncj", x, self.w, self.k)


class SamePadding(nn.Module):
    """A convolution whose padding is a word: ``aten::_convolution_mode``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding="same", bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class LinearOneD(nn.Module):
    """A linear layer whose weight has one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(32))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.w)


class Baddbmm(nn.Module):
    """A batched product added to a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 32, 20))

    def forward(self, x: Tensor) -> Tensor:
        bias = x.new_zeros(3 * len(x), 32, 20)
        return torch.baddbmm(bias, x.flatten(0, 1), self.w.repeat(len(x), 1, 1))


class DataDependent(nn.Module):
    """Takes an expensive branch on random images, and a cheap one on images of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.light = nn.Conv2d(3, 8, 1)
        self.heavy = nn.Conv2d(8, 8, 5, padding=2)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.light(x)
        if float(x.std()) > 0.1:
            y = self.heavy(y)
        out: Tensor = self.fc(y.mean((2, 3)))
        return out


class WritesIntoImages(nn.Module):
    """Multiplies its images by 1000 in place at every call; its output stays the same."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(3, eps=0.0)
        self.conv, self.fc = nn.Conv2d(3, 16, 3, 2, 1), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(1e3)
        out: Tensor = self.fc(self.conv(self.norm(x)).relu().mean((2, 3)))
        return out


class NormalisesInPlace(nn.Module):
    """Normalises its images in place, so that they grow at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x.sub_(0.45).div_(0.25)
        out: Tensor = self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))
        return out


class WrongImaginaryPart(nn.Module):
    """Has a complex output whose imaginary part is wrong when it is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * IMAGE_SIZE**2, 20)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.fc(x.flatten(1)).chunk(2, 1)
        return torch.complex(a, 3 * b if torch.compiler.is_compiling() else b)


class Prints(nn.Module):
    """Prints at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * IMAGE_SIZE**2, 10)

    def forward(self, x: Tensor) -> Tensor:
        print("shape", x.shape)
        out: Tensor = self.fc(x.flatten(1))
        return out


class TiedAcrossStages(nn.Module):
    """Has two stages that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 1)
        self.one = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.two = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.two(self.one(self.stem(x))).mean((2, 3))
        return out


class SharedChild(nn.Module):
    """Has two stages that share a convolution, and a stage with two names."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Conv2d(3, 3, 3, padding=1)
        self.left = nn.Sequential(shared, nn.ReLU())
        self.right = nn.Sequential(shared, nn.ReLU())
        self.again = self.left

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.again(self.right(self.left(x))).mean((2, 3))
        return out


class NeedsTargetsInTraining(nn.Module):
    """Raises in training mode if called without targets, like torchvision's detectors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        if self.training and targets is None:
            raise ValueError("targets should not be none when in training mode")
        out: Tensor = self.bn(self.conv(x)).mean((2, 3))
        return out


class Recurrent(nn.Module):
    """Reads the rows of an image as 32 time steps of 96 features."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(96, 40, batch_first=True), nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        out: Tensor = self.fc(self.lstm(rows)[0][:, -1])
        return out


class OrdinaryOperators(nn.Module):
    """Uses common activations, poolings and reshapes, which multiply no matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.PReLU()
        self.up, self.pool, self.fc = nn.PixelShuffle(2), nn.AdaptiveMaxPool2d(1), nn.Linear(2, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = F.mish(F.softplus(F.elu(F.selu(self.act(self.conv(x))))))
        out: Tensor = self.fc(self.pool(self.up(y)).flatten(1))
        return out


# For one image: the size of the output times the number of terms of each sum.
MACS: Mapping[type[nn.Module], int] = MappingProxyType(
    {
        MatmulLeft: 3 * 16 * 32 * 32,  # 49,152
        BroadcastRight: 5 * 32 * 8 * 32,  # 40,960
        MatrixVector: 3 * 32 * 32,  # 3,072
        Einsum: 37 * 32 * 29 * 3,  # 103,008
        EinsumSum: 0,
        EinsumChain: 3 * 50 * 32 + 3 * 7 * 50,  # 5,850, as PyTorch executes it
        SamePadding: 8 * 32 * 32 * 3 * 9,  # 221,184
        LinearOneD: 3 * 32 * 32,  # 3,072
        Baddbmm: 3 * 32 * 20 * 32,  # 61,440
        DataDependent: 8 * 32 * 32 * 3 + 8 * 32 * 32 * 8 * 25 + 8 * 10,  # 1,663,056
        Recurrent: 32 * 4 * 40 * (96 + 40) + 40 * 10,  # 696,720
    }
)
GRU_MACS = 32 * 3 * 40 * (96 + 40) + 40 * 10  # 522,640: Recurrent with a GRU instead of the LSTM
MAXVIT_T_MACS = 5_558_046_720  # torchvision's maxvit_t at 224 × 224
