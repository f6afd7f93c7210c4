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


def count_macs(model: nn.Module, images: torch.Tensor) -> MacCounter:
    with MacCounter() as counter:
        model.eval()(images)
    return counter


def random_images(batch_size: int) -> torch.Tensor:
    return torch.randn(batch_size, 3, cases.IMAGE_SIZE, cases.IMAGE_SIZE)


@pytest.mark.parametrize("batch_size", [1, 3])
@each_network
def test_every_operator_that_runs_is_counted(network: type[nn.Module], batch_size: int) -> None:
    counter = count_macs(network(), random_images(batch_size))
    assert counter.macs == batch_size * MACS[network]
    assert sum(counter.macs_by_operator.values()) == counter.macs
    assert counter.uncounted == {}


def test_a_gru_is_counted_as_its_matrix_products() -> None:
    model = cases.Recurrent()
    model.lstm = nn.GRU(96, 40, batch_first=True)  # type: ignore[assignment]
    assert count_macs(model, random_images(1)).macs == cases.GRU_MACS


def test_settings_of_pytorch_are_restored() -> None:
    was_on = torch.backends.mkldnn.enabled
    count_macs(nn.TransformerEncoderLayer(8, nhead=2, batch_first=True), torch.randn(3, 5, 8))
    assert torch.backends.mkldnn.enabled == was_on
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.is_grad_enabled()


def test_operators_without_a_formula_are_reported_with_their_calls() -> None:
    counter = count_macs(factories.distances(), torch.randn(2, 3, 8, 8))
    assert counter.uncounted == {"aten::_cdist_forward": 1}
    assert counter.macs == 2 * 3 * factories.CLASSES


@torch.library.custom_op("googlenet_bench_tests::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_a_custom_operator_is_counted_with_its_registered_formula(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Doubles(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            twice: torch.Tensor = doubled(doubled(x))
            return twice

    assert count_macs(Doubles(), random_images(1)).uncounted == {
        "googlenet_bench_tests::doubled": 2
    }
    registry = torch.utils.flop_counter.flop_registry
    operator = torch.ops.googlenet_bench_tests.doubled
    monkeypatch.setitem(registry, operator, lambda x, **_: 2 * x.numel())
    counter = count_macs(Doubles(), random_images(1))
    assert counter.uncounted == {}
    assert counter.macs == 2 * 3 * cases.IMAGE_SIZE**2


def test_autograd_inside_a_forward_pass_is_counted() -> None:
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
    # The gradient needs as many multiply-accumulates as the forward pass.
    assert count_macs(Gradient(), random_images(1)).macs == 2 * forward


def test_tallies_can_be_added_and_subtracted() -> None:
    first, second = Tally(3, 5, Counter(a=2)), Tally(1, 1, Counter(a=1, b=1))
    assert first + second == Tally(4, 6, Counter(a=3, b=1))
    assert (first + second) - second == first


def test_macs_are_half_of_the_flops_of_pytorch() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 5))
    with torch.no_grad(), FlopCounterMode(display=False) as plain:
        model(random_images(2))
    assert 2 * count_macs(model, random_images(2)).macs == plain.get_total_flops()


def test_counting_does_not_import_dynamo() -> None:
    program = (
        "import sys, torch; from bench.worker.mac_counter import MacCounter\n"
        "with MacCounter() as counter: torch.ones(2, 3) @ torch.ones(3, 4)\n"
        "assert counter.macs == 24 and 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_counter_of_pytorch_is_restored() -> None:
    mode = torch.utils.flop_counter._FlopCounterMode
    before = mode.__torch_dispatch__
    count_macs(nn.Conv2d(3, 8, 3), random_images(1))
    assert mode.__torch_dispatch__ is before
