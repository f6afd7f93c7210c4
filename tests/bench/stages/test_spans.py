import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.stages import spans
from bench.stages.vocabulary import StagePart

X = torch.zeros(1)


class FakeTime:
    """A clock that advances only while a ``Takes`` module runs."""

    def __init__(self) -> None:
        self.now_s = 1024.0

    def now(self) -> float:
        return self.now_s


class Takes(nn.Module):
    """A module that advances a fake clock by some seconds, then runs another module."""

    def __init__(self, clock: FakeTime, seconds: float, then: nn.Module | None = None) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        self.clock.now_s += self.seconds
        return x if self.then is None else self.then(x)


def hooks(model: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


# Sums of powers of two: adding and subtracting them is exact.
@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def model(clock: FakeTime) -> nn.Sequential:
    return nn.Sequential(Takes(clock, 0.5), Takes(clock, 2.0), Takes(clock, 0.125))


def test_part_has_the_time_of_its_module(model: nn.Sequential, clock: FakeTime) -> None:
    parts = [StagePart(stage=name, modules=(name,)) for name in ("0", "2")]
    with spans.hooked(model, parts, clock.now) as seconds:
        model(X)
    assert seconds == {("0", ""): 0.5, ("2", ""): 0.125}


def test_part_of_several_modules_includes_the_time_between_them(
    model: nn.Sequential, clock: FakeTime
) -> None:
    part = StagePart(stage="all", branch="three", modules=("0", "2"))
    with spans.hooked(model, [part], clock.now) as seconds:
        model(X)
    assert seconds == {("all", "three"): 0.5 + 2.0 + 0.125}


def test_part_that_is_called_twice_has_the_time_of_both_calls(clock: FakeTime) -> None:
    shared = Takes(clock, 0.25)
    model = nn.Sequential(shared, Takes(clock, 4.0), shared)
    with spans.hooked(model, [StagePart(stage="shared", modules=("0",))], clock.now) as seconds:
        model(X)
    assert seconds == {("shared", ""): 0.5}


def test_part_inside_another_part_counts_for_the_outer_part(clock: FakeTime) -> None:
    inner = Takes(clock, 0.25)
    model = nn.Sequential(Takes(clock, 1.0, then=inner), inner)
    parts = [StagePart(stage=name, modules=(name,)) for name in ("0", "0.then")]
    with spans.hooked(model, parts, clock.now) as seconds:
        model(X)
    assert seconds == {("0", ""): 1.25, ("0.then", ""): 0.25}


def test_part_that_is_not_called_has_no_entry(clock: FakeTime) -> None:
    model = Takes(clock, 0.5)
    model.register_module("aside", Takes(clock, 8.0))
    with spans.hooked(model, [StagePart(stage="aside", modules=("aside",))], clock.now) as seconds:
        model(X)
    assert seconds == {}


def _raises(_: Tensor) -> Tensor:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("forward", [None, _raises])
def test_hooks_are_removed(
    model: nn.Sequential, clock: FakeTime, forward: Callable[[Tensor], Tensor] | None
) -> None:
    if forward:
        model[1].forward = forward
    parts = [StagePart(stage=name, modules=(name,)) for name in ("0", "1", "2")]
    try:
        with spans.hooked(model, parts, clock.now):
            assert hooks(model) == 2 * len(parts)
            model(X)
    except RuntimeError:
        assert forward
    assert hooks(model) == 0


def test_hooks_do_not_change_the_output(clock: FakeTime) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    x = torch.ones(2, 3)
    expected = model(x)
    parts = [StagePart(stage=name, modules=(name,)) for name in ("0", "1")]
    with spans.hooked(model, parts, clock.now):
        assert torch.equal(model(x), expected)


def test_hook_overhead_is_measured_by_the_given_clock() -> None:
    assert spans.hook_overheads_s(FakeTime().now) == [0.0] * spans.PAIRS
    assert all(seconds > 0 for seconds in spans.hook_overheads_s(time.perf_counter))


def test_clock_on_a_cpu_is_that_of_the_host() -> None:
    assert spans.instant(torch.device("cpu")) is time.perf_counter


def test_clock_on_cuda_waits_for_the_device_first(monkeypatch: pytest.MonkeyPatch) -> None:
    synchronised: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", synchronised.append)
    device = torch.device("cuda:1")
    now = spans.instant(device)
    assert synchronised == []
    assert now() <= time.perf_counter()
    assert synchronised == [device]
