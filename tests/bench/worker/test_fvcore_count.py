import pytest
import torch
from torch import nn

from bench.worker import fvcore_count
from bench.worker.fvcore_count import FvcoreCount
from bench.worker.mac_counter import MacCounter
from tests.bench import cases


def both(network: nn.Module) -> tuple[FvcoreCount, MacCounter]:
    network.eval()
    images = torch.randn(1, 3, cases.IMAGE_SIZE, cases.IMAGE_SIZE)
    with MacCounter() as ours:
        network(images.clone())
    return fvcore_count.count(network, images), ours


def test_what_fvcore_does_not_know_is_told_and_its_total_stays() -> None:
    found, _ = both(cases.OrdinaryOperators())
    assert found.total == 8 * 32 * 32 * 3 * 9 + 2 * 10
    assert {"aten::prelu", "aten::mish"} <= found.unknown.keys()
    assert "1 × aten::mish" in found.remark


def test_a_network_that_fvcore_cannot_trace_has_a_reason_and_no_total() -> None:
    found, ours = both(cases.MatrixVector())
    assert (found.total, found.by_module) == (None, {})
    assert found.remark.startswith("cannot trace it: IndexError")
    assert found.disagreements(ours.macs_by_operator) == ()


@pytest.mark.parametrize(
    ("network", "parts"),
    [
        # Figures are fvcore's, as issue reports have them.
        (cases.MatmulLeft, ["49,152 (aten::mm ", "MACs of matrix products", "16,384 (matmul "]),
        (cases.EinsumChain, ["5,850 (aten::bmm ", "counts 32,705 (einsum "]),
        (cases.SamePadding, ["221,184 (", "convolutions", "not know aten::_convolution_mode"]),
        (cases.Recurrent, ["696,720 (", "does not know aten::lstm"]),
    ],
)
def test_a_disagreement_names_both_counts_and_the_operators(
    network: type[nn.Module], parts: list[str]
) -> None:
    found, ours = both(network())
    (sentence,) = found.disagreements(ours.macs_by_operator)
    assert all(part in sentence for part in parts), sentence


def test_where_both_agree_there_is_nothing_to_tell() -> None:
    found, ours = both(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8)))
    assert found.disagreements(ours.macs_by_operator) == ()
    assert found.total == ours.macs + 2 * 8 * 30 * 30  # and batch norm's
    assert found.remark == ""
