from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench import archs
from bench.errors import RequestError
from bench.studies.power import injection

IMAGES = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def factory(name: str) -> Callable[[], nn.Module]:
    function: Callable[[], nn.Module] = getattr(injection, name)
    return function


@pytest.mark.parametrize("kind", [kind for kind in injection.KINDS if kind != "none"])
def test_an_injection_does_not_change_the_shape_of_the_logits(kind: str) -> None:
    model = archs.find(injection.arch(kind, 2)).build(False).eval()
    with torch.inference_mode():
        logits = model(IMAGES)
    assert logits.shape == (1, 1000)
    assert logits.isfinite().all()


def test_convolutions_affect_the_logits_and_match_the_amount() -> None:
    model = injection.Injected("conv", 3).eval()
    with torch.inference_mode():
        before = model(IMAGES)
        for convolution in model.added.more:  # type: ignore[union-attr]
            convolution.bias += 1e4
        assert not torch.equal(model(IMAGES), before)
    assert len(model.added.more) == 3  # type: ignore[arg-type]


def test_one_forward_in_ten_runs_the_convolutions() -> None:
    model = injection.Stutter(1).eval()
    calls = []
    model.convolutions.register_forward_hook(lambda *_: calls.append(model.calls))
    logits = torch.zeros(1, 10)
    with torch.inference_mode():
        for _ in range(25):
            assert torch.equal(model(logits, IMAGES), logits)
    assert calls == [10, 20]


@pytest.mark.parametrize("amount", [1, 3])
def test_each_break_splits_the_compiled_graph(amount: int) -> None:
    torch._dynamo.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 10))
    broken = torch.compile(Broken(model, amount), backend=backend)
    with torch.inference_mode():
        assert broken(IMAGES).shape == (1, 10)
    assert len(graphs) >= max(2, amount)


class Broken(nn.Module):
    def __init__(self, network: nn.Module, amount: int) -> None:
        super().__init__()
        self.network, self.breaks = network, injection.Breaks(amount)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.breaks(self.network(images), images)
        return logits


@pytest.mark.parametrize("name", ["conv", "conv_", "conv_x", "nonsense_3"])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="KIND_AMOUNT"):
        archs.find(f"bench.studies.power.injection:{name}").build(False)


def test_a_factory_builds_a_new_network_at_each_call() -> None:
    make = factory("conv_1")
    assert make() is not make()
