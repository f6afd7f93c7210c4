"""The networks are named ``tests.bench.gate.test_counts:NAME``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.cells.cell import Cell
from bench.counts import counting
from bench.counts.baseline import RULES
from tests.bench import factories

TINY = "tests.bench.factories:tiny"
HERE = __name__
WIDTH = {"fp32": 4, "bf16": 2}  # bytes
PIXELS, GRID = 224**2, 56**2  # pixels of an image, and of the tiny network's convolution
CLASSIFIER = factories.CHANNELS * factories.CLASSES + factories.CLASSES
PARAMS = 7 * 7 * 3 * factories.CHANNELS + factories.CHANNELS + CLASSIFIER


def cell(arch: str = TINY, mode: str = "eager", batch_size: int = 1, task: str = "infer") -> Cell:
    return Cell(arch=arch, mode=mode, dtype="fp32", batch_size=batch_size, task=task, device="cpu")


def network(counted_cell: Cell) -> Mapping[str, Any]:
    return counting.count_networks([counted_cell])[counted_cell.id]


def graphs(counted_cell: Cell) -> tuple[int, int, int]:
    """Return the numbers of graphs, breaks and recompiled graphs."""
    result: Mapping[str, Any] = counting.count_graphs([counted_cell])[counted_cell.id]
    return result["graphs"], result["graph_breaks"], result["recompiled_graphs"]


def test_every_count_that_is_compared_is_taken() -> None:
    compiled = cell(mode="compile")
    counted = {**network(compiled), **counting.count_graphs([compiled])[compiled.id]}
    assert counted.keys() == RULES.keys()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_parameters_and_operations_are_those_of_one_image(batch_size: int) -> None:
    result = network(cell(batch_size=batch_size))
    macs = GRID * 7 * 7 * 3 * factories.CHANNELS + factories.CHANNELS * factories.CLASSES
    assert result["params"] == result["params_with_aux"] == PARAMS
    assert result["macs_per_image"] == macs
    assert result["flops_per_image"] == 2 * macs
    # fvcore adds the average pool, with one operation per input element.
    assert result["fvcore_total_per_image"] == macs + GRID * factories.CHANNELS


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("dtype", WIDTH)
@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_bytes_of_a_small_network(batch_size: int, dtype: str, mode: str) -> None:
    result = network(replace(cell(mode=mode, batch_size=batch_size), dtype=dtype))
    images, activation = batch_size * 3 * PIXELS, batch_size * factories.CHANNELS * GRID
    assert result["weights_bytes"] == WIDTH[dtype] * PARAMS
    # The outputs of the convolution and of the ReLU.
    assert result["peak_bytes"] == WIDTH[dtype] * (PARAMS + images + 2 * activation)


def test_bytes_of_googlenet() -> None:
    result = network(cell("googlenet"))
    assert (result["params"], result["params_with_aux"]) == (7_005_832, 13_385_816)  # docs/facts.md
    # The peak is at the first batch norm, with its input and its output.
    assert result["peak_bytes"] == result["weights_bytes"] + 4 * (3 * PIXELS + 2 * 64 * 112**2)


def test_bytes_of_a_training_step() -> None:
    result = network(cell(batch_size=2, task="train"))
    images, activation = 2 * 3 * PIXELS, 2 * factories.CHANNELS * GRID
    logits, loss_and_its_weight = 2 * factories.CLASSES, 2
    # The peak is in the backward pass of the ReLU, with its output, its gradient and the gradient
    # behind it. At this point weights have momenta, and the classifier's gradients exist.
    elements = 2 * PARAMS + CLASSIFIER + logits + loss_and_its_weight
    assert result["peak_bytes"] == 4 * (elements + images + 3 * activation)


def test_a_compiled_mode_has_the_bytes_of_its_eager_equivalent() -> None:
    eager, compiled = cell(), cell(mode="compile")
    result = counting.count_networks([compiled, eager])
    assert list(result) == [compiled.id, eager.id]
    assert result[compiled.id] == result[eager.id] == network(eager)


@pytest.mark.parametrize(
    ("mode", "eager"),
    [
        ("eager", "eager"),
        ("compile", "eager"),
        ("channels_last", "channels_last"),
        ("compile+channels_last", "channels_last"),
    ],
)
def test_the_eager_equivalent_of_a_mode(mode: str, eager: str) -> None:
    assert counting.in_eager(cell(mode=mode)) == cell(mode=eager)


class _Grown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tiny = factories.tiny()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.tiny(x)
        return logits


def grown() -> nn.Module:
    return _Grown()


def test_an_additional_parameter_changes_counts_and_bytes() -> None:
    before, after = network(cell()), network(cell(f"{HERE}:grown"))
    grown_by = {name: after[name] - before[name] for name in before if after[name] != before[name]}
    assert grown_by == {"params": 1, "params_with_aux": 1, "weights_bytes": 4, "peak_bytes": 4}


class _Means(nn.Module):
    """A 1×1 convolution, its means, a hook ``look`` for subclasses, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel_size=1)
        self.fc = nn.Linear(4, factories.CLASSES)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.look(self.conv(x).mean(dim=(2, 3))))
        return logits

    def look(self, means: Tensor) -> Tensor:
        return means


def plain() -> nn.Module:
    return _Means()


class _Branching(_Means):
    def forward(self, x: Tensor) -> Tensor:
        means = self.conv(x).mean(dim=(2, 3))
        if means.sum() > 0:
            means = means * 2
        logits: Tensor = self.fc(means)
        return logits


def branching() -> nn.Module:
    return _Branching()


class _Trying(_Means):
    def forward(self, x: Tensor) -> Tensor:
        means = self.conv(x).mean(dim=(2, 3))
        try:
            torch._dynamo.graph_break()
        finally:
            means = means * 2
        logits: Tensor = self.fc(means)
        return logits


def trying() -> nn.Module:
    return _Trying()


class _Looping(_Means):
    def forward(self, x: Tensor) -> Tensor:
        means = self.conv(x).mean(dim=(2, 3))
        for _ in range(2):
            torch._dynamo.graph_break()
            means = means * 2
        logits: Tensor = self.fc(means)
        return logits


def looping() -> nn.Module:
    return _Looping()


class _Nested(_Means):
    def look(self, means: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return means * 2


def nested() -> nn.Module:
    return _Nested()


class _Counting(_Means):
    def look(self, means: Tensor) -> Tensor:
        self.calls += 1
        return means + self.calls


def counting_calls() -> nn.Module:
    return _Counting()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", (1, 0, 0)),
        ("branching", (2, 1, 0)),  # one graph before the branch, and one for the taken branch
        ("nested", (3, 2, 0)),  # a break in the function, and one in its caller at the call
        ("counting_calls", (1, 0, 1)),
    ],
)
def test_graphs_and_breaks(name: str, expected: tuple[int, int, int]) -> None:
    assert graphs(cell(f"{HERE}:{name}", mode="compile")) == expected


@pytest.mark.parametrize("name", ["trying", "looping"])
def test_a_break_in_a_try_or_a_loop_changes_the_counts(name: str) -> None:
    assert graphs(cell(f"{HERE}:{name}", mode="compile")) != (1, 0, 0)


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_without_a_compiler_there_are_no_graphs(mode: str) -> None:
    assert graphs(cell(f"{HERE}:branching", mode=mode)) == (0, 0, 0)


def test_a_training_step_is_captured_in_one_graph() -> None:
    assert graphs(cell(mode="compile", batch_size=2, task="train")) == (1, 0, 0)


def test_graphs_of_an_earlier_cell_do_not_count() -> None:
    cells = [cell(mode=mode) for mode in ("compile", "compile+channels_last")]
    results = counting.count_graphs([*cells, cell()])
    assert [result["graphs"] for result in results.values()] == [1, 1, 0]


def test_a_storage_counts_once_and_until_it_is_freed() -> None:
    live = counting.LiveBytes()
    with live:
        base = torch.zeros(10)
        view = base.view(2, 5).add_(1)
        assert live.peak_bytes == 40
        del base, view
        again = torch.zeros(4)
        assert live.peak_bytes == 40
        more = [torch.zeros(5), torch.zeros(5)]
    assert live.peak_bytes == 4 * (4 + 5 + 5)
    assert len(more) + len(again) == 6


def test_storages_passed_to_see_count() -> None:
    live = counting.LiveBytes()
    weight = torch.zeros(10)
    live.see({"weight": weight, "shape": (10,), "again": [weight[:5]]})
    with live:
        _ = weight + 1
    assert live.peak_bytes == 80
