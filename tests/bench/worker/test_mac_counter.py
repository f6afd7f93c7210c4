import subprocess
import sys
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.worker.mac_counter import MacCounter, Tally
from tests.bench import cases, factories
from tests.bench.cases import MACS

each_network = pytest.mark.parametrize("network", MACS, ids=lambda network: network.__name__)


def counted(model: nn.Module, images: torch.Tensor) -> MacCounter:
    with MacCounter() as counter:
        model.eval()(images)
    return counter


def random(batch_size: int) -> torch.Tensor:
    return torch.randn(batch_size, 3, cases.IMAGE_SIZE, cases.IMAGE_SIZE)


@pytest.mark.parametrize("batch_size", [1, 3])
@each_network
def test_what_runs_is_counted(network: type[nn.Module], batch_size: int) -> None:
    found = counted(network(), random(batch_size))
    assert found.macs == batch_size * MACS[network]
    assert sum(found.macs_by_operator.values()) == found.macs
    assert found.uncounted == {}


def test_a_gru_is_counted_as_what_it_is_made_of() -> None:
    model = cases.Recurrent()
    model.lstm = nn.GRU(96, 40, batch_first=True)  # type: ignore[assignment]
    assert counted(model, random(1)).macs == cases.GRU_MACS


def test_pytorchs_settings_are_as_they_were() -> None:
    was_on = torch.backends.mkldnn.enabled
    counted(nn.TransformerEncoderLayer(8, nhead=2, batch_first=True), torch.randn(3, 5, 8))
    assert torch.backends.mkldnn.enabled == was_on
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.is_grad_enabled()


def test_what_has_no_formula_is_named_as_often_as_it_ran() -> None:
    found = counted(factories.distances(), torch.randn(2, 3, 8, 8))
    assert found.uncounted == {"aten::_cdist_forward": 1}
    assert found.macs == 2 * 3 * factories.CLASSES


@torch.library.custom_op("googlenet_bench_tests::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_an_operator_of_the_users_own_counts_by_the_formula_they_register(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Doubles(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            twice: torch.Tensor = doubled(doubled(x))
            return twice

    assert counted(Doubles(), random(1)).uncounted == {"googlenet_bench_tests::doubled": 2}
    registry = torch.utils.flop_counter.flop_registry
    operator = torch.ops.googlenet_bench_tests.doubled
    monkeypatch.setitem(registry, operator, lambda x, **_: 2 * x.numel())
    found = counted(Doubles(), random(1))
    assert found.uncounted == {}
    assert found.macs == 2 * 3 * cases.IMAGE_SIZE**2


def test_autograd_inside_a_forward_is_no_obstacle() -> None:
    class Gradient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(self.conv(x).sum(), x)
            return gradient

    forward = 3 * 8 * cases.IMAGE_SIZE**2
    assert counted(Gradient(), random(1)).macs == 2 * forward  # the gradient is as large


def test_tallies_are_added_and_subtracted() -> None:
    one, other = Tally(3, 5, Counter(a=2)), Tally(1, 1, Counter(a=1, b=1))
    assert one + other == Tally(4, 6, Counter(a=3, b=1))
    assert (one + other) - other == one


def test_it_counts_what_pytorchs_counter_counts() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 5))
    with torch.no_grad(), FlopCounterMode(display=False) as plain:
        model(random(2))
    assert 2 * counted(model, random(2)).macs == plain.get_total_flops()


def test_counting_imports_no_dynamo() -> None:
    program = (
        "import sys, torch; from bench.worker.mac_counter import MacCounter\n"
        "with MacCounter() as counter: torch.ones(2, 3) @ torch.ones(3, 4)\n"
        "assert counter.macs == 24 and 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_pytorchs_counter_is_as_it_was() -> None:
    mode = torch.utils.flop_counter._FlopCounterMode
    before = mode.__torch_dispatch__
    counted(nn.Conv2d(3, 8, 3), random(1))
    assert mode.__torch_dispatch__ is before
