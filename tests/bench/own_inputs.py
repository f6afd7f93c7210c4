"""Networks with inputs of their own, from factories with ``example_inputs``; and wrong ones."""

import torch
from torch import Tensor, nn

WORDS = 50


class Grey(nn.Module):
    """Takes images of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.LazyLinear(10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))
        return out


class Reads(nn.Module):
    """Takes images, words and a scale."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.words = nn.Embedding(WORDS, 8)
        self.fc = nn.Linear(8, 10)

    def forward(self, images: Tensor, words: Tensor, scale: Tensor) -> Tensor:
        seen = self.conv(images).relu().mean((2, 3))
        out: Tensor = self.fc((seen + self.words(words).mean(1)) * scale)
        return out


def grey() -> nn.Module:
    return Grey()


def reads() -> nn.Module:
    return Reads()


def grey_inputs(batch_size: int) -> Tensor:
    return torch.randn(batch_size, 1, 28, 28, dtype=torch.float64)


def reads_inputs(batch_size: int) -> tuple[Tensor, ...]:
    words = torch.randint(WORDS, (batch_size, 7))
    return torch.randn(batch_size, 3, 20, 12), words, torch.rand(()) + 1


def same() -> nn.Module:
    return Grey()


def changes() -> nn.Module:
    return nn.AdaptiveAvgPool2d(1)


def raises() -> nn.Module:
    return Grey()


def text() -> nn.Module:
    return Grey()


def not_called() -> nn.Module:
    return Grey()


def one_too_many() -> nn.Module:
    return Grey()


def _changing(batch_size: int, sides: list[int] = [8]) -> Tensor:  # noqa: B006 - it counts calls
    sides[0] += 1
    return torch.randn(batch_size, 3, sides[0], sides[0])


grey.example_inputs = grey_inputs  # type: ignore[attr-defined]
reads.example_inputs = reads_inputs  # type: ignore[attr-defined]
same.example_inputs = lambda n: torch.ones(n, 1, 28, 28)  # type: ignore[attr-defined]
changes.example_inputs = _changing  # type: ignore[attr-defined]
raises.example_inputs = lambda _: [][0]  # type: ignore[attr-defined]
text.example_inputs = lambda _: "28"  # type: ignore[attr-defined]
not_called.example_inputs = torch.ones(1, 1, 28, 28)  # type: ignore[attr-defined]
one_too_many.example_inputs = lambda n: torch.randn(n + 1, 1, 28, 28)  # type: ignore[attr-defined]
