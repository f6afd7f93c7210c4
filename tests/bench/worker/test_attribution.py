import torch
from torch import Tensor, nn

from bench.worker.attribution import ModuleSpan, attributed
from tests.bench import cases


class Calls:
    """Something that only grows: by one for each call of a convolution."""

    def __init__(self, model: nn.Module) -> None:
        self.made = 0
        for part in model.modules():
            if isinstance(part, nn.Conv2d):
                part.register_forward_hook(self.count)

    def count(self, *_given: object) -> None:
        self.made += 1

    def __call__(self) -> int:
        return self.made


def alone(model: nn.Module) -> dict[str, ModuleSpan]:
    return {name: ModuleSpan(child, child) for name, child in model.named_children()}


def test_a_shared_module_counts_for_its_caller_each_time() -> None:
    model = cases.SharedChild()
    read = Calls(model)
    with attributed(alone(model), read) as found:
        model(torch.randn(1, 3, 32, 32))
    assert found == {"left": 2, "right": 1}
    assert read() == 3


def test_no_hook_is_left_and_what_is_not_called_has_no_entry() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    read = Calls(model)
    with attributed({**alone(model), "aside": ModuleSpan(nn.ReLU(), nn.ReLU())}, read) as found:
        model(torch.randn(1, 3, 8, 8))
        model(torch.randn(1, 3, 8, 8))
    assert found == {"0": 2, "1": 0}
    assert [len(part._forward_pre_hooks) for part in model] == [0, 0]
    assert [len(part._forward_hooks) for part in model] == [1, 0]  # the test's own


class _Between(nn.Module):
    """Two parts, and a convolution that is called between the modules of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inside, self.last = (nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.inside(self.first(x)))
        return out


def test_a_part_has_what_is_called_between_its_modules() -> None:
    model = _Between()
    parts = {
        "outer": ModuleSpan(model.first, model.last),
        "inner": ModuleSpan(model.inside, model.inside),
    }
    with attributed(parts, Calls(model)) as found:
        model(torch.randn(1, 3, 8, 8))
    # The hook that counts a call comes before the one that ends the part.
    assert found == {"outer": 3}
