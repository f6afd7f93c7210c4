import torch
from torch import Tensor, nn

from bench.worker.attribution import ModuleSpan, attributed
from tests.bench import cases


class Calls:
    """A counter that grows by one with each call of a convolution."""

    def __init__(self, model: nn.Module) -> None:
        self.calls = 0
        for part in model.modules():
            if isinstance(part, nn.Conv2d):
                part.register_forward_hook(self.count)

    def count(self, *_args: object) -> None:
        self.calls += 1

    def __call__(self) -> int:
        return self.calls


def children(model: nn.Module) -> dict[str, ModuleSpan]:
    return {name: ModuleSpan(child, child) for name, child in model.named_children()}


def test_a_shared_module_counts_for_its_caller_each_time() -> None:
    model = cases.SharedChild()
    read = Calls(model)
    with attributed(children(model), read) as growth:
        model(torch.randn(1, 3, 32, 32))
    assert growth == {"left": 2, "right": 1}
    assert read() == 3


def test_hooks_are_removed_and_parts_that_are_not_called_have_no_entry() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    read = Calls(model)
    with attributed({**children(model), "aside": ModuleSpan(nn.ReLU(), nn.ReLU())}, read) as growth:
        model(torch.randn(1, 3, 8, 8))
        model(torch.randn(1, 3, 8, 8))
    assert growth == {"0": 2, "1": 0}
    assert [len(part._forward_pre_hooks) for part in model] == [0, 0]
    assert [len(part._forward_hooks) for part in model] == [1, 0]  # the hook of Calls


class _Between(nn.Module):
    """A part of two modules, and another part that is called between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inside, self.last = (nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.inside(self.first(x)))
        return out


def test_a_part_includes_calls_between_its_modules() -> None:
    model = _Between()
    parts = {
        "outer": ModuleSpan(model.first, model.last),
        "inner": ModuleSpan(model.inside, model.inside),
    }
    with attributed(parts, Calls(model)) as growth:
        model(torch.randn(1, 3, 8, 8))
    # The hook of Calls runs before the hook that ends the part.
    assert growth == {"outer": 3}
