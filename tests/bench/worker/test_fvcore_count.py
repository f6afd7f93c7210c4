import pytest
import torch
from torch import nn

from bench.worker import fvcore_count
from bench.worker.fvcore_count import FvcoreCount
from bench.worker.mac_counter import MacCounter
from tests.bench import cases


def count_both(network: nn.Module) -> tuple[FvcoreCount, MacCounter]:
    network.eval()
    images = torch.randn(1, 3, cases.IMAGE_SIZE, cases.IMAGE_SIZE)
    with MacCounter() as counter:
        network(images.clone())
    return fvcore_count.count(network, (images,)), counter


def test_operators_unknown_to_fvcore_are_reported_with_its_total() -> None:
    fvcore, _ = count_both(cases.OrdinaryOperators())
    assert fvcore.total == 8 * 32 * 32 * 3 * 9 + 2 * 10
    assert {"aten::prelu", "aten::mish"} <= fvcore.unknown.keys()
    assert "1 × aten::mish" in fvcore.remark


def test_an_untraceable_network_has_a_reason_and_no_total() -> None:
    fvcore, counter = count_both(cases.MatrixVector())
    assert (fvcore.total, fvcore.by_module) == (None, {})
    assert fvcore.remark.startswith("cannot trace it: IndexError")
    assert fvcore.disagreements(counter.macs_by_operator) == ()


@pytest.mark.parametrize(
    ("network", "parts"),
    [
        # The figures of fvcore are those in its issue reports.
        (cases.MatmulLeft, ["49,152 (aten::mm ", "MACs of matrix products", "16,384 (matmul "]),
        (cases.EinsumChain, ["5,850 (aten::bmm ", "counts 32,705 (einsum "]),
        (cases.SamePadding, ["221,184 (", "convolutions", "not know aten::_convolution_mode"]),
        (cases.Recurrent, ["696,720 (", "does not know aten::lstm"]),
    ],
)
def test_disagreements_name_both_counts_and_the_operators(
    network: type[nn.Module], parts: list[str]
) -> None:
    fvcore, counter = count_both(network())
    (sentence,) = fvcore.disagreements(counter.macs_by_operator)
    assert all(part in sentence for part in parts), sentence


def test_equal_counts_give_no_disagreement_and_no_remark() -> None:
    fvcore, counter = count_both(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8)))
    assert fvcore.disagreements(counter.macs_by_operator) == ()
    assert fvcore.total == counter.macs + 2 * 8 * 30 * 30  # plus batch norm
    assert fvcore.remark == ""
