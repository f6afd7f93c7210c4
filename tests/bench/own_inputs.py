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


def reads_named() -> nn.Module:
    return Reads()


def grey_inputs(batch_size: int) -> Tensor:
    return torch.randn(batch_size, 1, 28, 28, dtype=torch.float64)


def reads_inputs(batch_size: int) -> tuple[Tensor, ...]:
    words = torch.randint(WORDS, (batch_size, 7))
    return torch.randn(batch_size, 3, 20, 12), words, torch.rand(batch_size, 1) + 1


class Positions(nn.Module):
    """Takes indices that are expanded, and indices as floating-point numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.fc = nn.Linear(8, 10)

    def forward(self, positions: Tensor, words: Tensor) -> Tensor:
        out: Tensor = self.fc(self.words(positions) + self.words(words.long())).mean(1)
        return out


def positions() -> nn.Module:
    return Positions()


def positions_inputs(batch_size: int) -> list[Tensor]:
    words = torch.randint(WORDS, (batch_size, 7)).float().requires_grad_()
    return [torch.arange(7).expand(batch_size, 7), words]


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


def number() -> nn.Module:
    return Grey()


def nothing() -> nn.Module:
    return Grey()


def infinite() -> nn.Module:
    return Grey()


def shared() -> nn.Module:
    return Reads()


def _changing(batch_size: int, sides: list[int] = [8]) -> Tensor:  # noqa: B006 - it counts calls
    sides[0] += 1
    return torch.randn(batch_size, 3, sides[0], sides[0])


grey.example_inputs = grey_inputs  # type: ignore[attr-defined]
reads.example_inputs = reads_inputs  # type: ignore[attr-defined]
positions.example_inputs = positions_inputs  # type: ignore[attr-defined]
same.example_inputs = lambda n: torch.ones(n, 1, 28, 28)  # type: ignore[attr-defined]
changes.example_inputs = _changing  # type: ignore[attr-defined]
raises.example_inputs = lambda _: [][0]  # type: ignore[attr-defined]
text.example_inputs = lambda _: "28"  # type: ignore[attr-defined]
not_called.example_inputs = torch.ones(1, 1, 28, 28)  # type: ignore[attr-defined]
one_too_many.example_inputs = lambda n: torch.randn(n + 1, 1, 28, 28)  # type: ignore[attr-defined]
number.example_inputs = lambda n: (torch.randn(n, 1, 28, 28), 3)  # type: ignore[attr-defined]
nothing.example_inputs = lambda _: ()  # type: ignore[attr-defined]
infinite.example_inputs = lambda n: torch.randn(n, 1, 28, 28) / 0  # type: ignore[attr-defined]
shared.example_inputs = lambda n: (torch.randn(n, 3, 8, 8), torch.arange(7))  # type: ignore[attr-defined]


def named_inputs(batch_size: int) -> dict[str, Tensor]:
    images, words, scale = reads_inputs(batch_size)
    return {"words": words, "scale": scale, "images": images}


def changes_names() -> nn.Module:
    return Reads()


reads_named.example_inputs = named_inputs  # type: ignore[attr-defined]
changes_names.example_inputs = lambda batch_size: {  # type: ignore[attr-defined]
    f"input_{batch_size}": torch.zeros(batch_size)
}
