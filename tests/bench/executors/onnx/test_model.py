"""The runtimes that get networks as ONNX models answer like eager, in its structure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from bench.cells import modes
from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.executors.executor import Executor
from bench.executors.onnx.model import Structure, exported
from bench.executors.request import ExecutorRequest
from bench.worker import subject
from tests.bench import tiny

RUNTIMES = [
    executor
    for executor in modes.tokens().values()
    if isinstance(executor, Executor) and "onnx" in executor.requires
]
names_runtime = pytest.mark.parametrize("runtime", [runtime.name for runtime in RUNTIMES])


def request(*example: Tensor, dtype: torch.dtype = torch.float32) -> ExecutorRequest:
    return ExecutorRequest(example=example, dtype=dtype, device=torch.device("cpu"), threads=1)


def prepare(arch: str, mode: str, dtype: str = "fp32") -> subject.Subject:
    cell = Cell(arch=arch, mode=mode, dtype=dtype, batch_size=2, task="infer", device="cpu")
    return subject.prepare(cell, image_size=None, seed=0)


@pytest.mark.parametrize(
    "arch",
    [
        "tests.bench.own_inputs:positions",
        "tests.bench.own_inputs:reads_named",
        "tests.bench.odd:ManyKinds",
    ],
)
@names_runtime
def test_a_network_with_any_inputs_and_outputs_answers_like_eager(runtime: str, arch: str) -> None:
    ready = prepare(arch, runtime)
    assert ready.setup.output_error < 1e-5
    with ready.task.context():
        ready.task.step()
    assert ready.checks.after_rounds(ready.task) is None


def wide() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@names_runtime
def test_the_memory_of_a_cell_includes_what_the_runtime_keeps(runtime: str) -> None:
    activations_bytes = 2 * 64 * 256**2 * 4
    arch = "tests.bench.executors.onnx.test_model:wide@256"
    assert prepare(arch, runtime).kept_bytes > 0.9 * activations_bytes
    assert prepare(arch, "eager").kept_bytes == 0


@pytest.mark.parametrize(
    ("runtime", "arch"),
    [
        ("onnxruntime", "googlenet"),
        ("openvino", "torchvision:googlenet"),
        pytest.param("onnxruntime", "torchvision:googlenet", marks=pytest.mark.slow),
        pytest.param("openvino", "googlenet", marks=pytest.mark.slow),
    ],
)
def test_googlenet_answers_like_eager(runtime: str, arch: str) -> None:
    ready = prepare(f"{arch}@64", runtime)
    assert ready.setup.output_error < 1e-4
    assert ready.setup.weights_bytes > 4 * 5_900_000  # as published, without auxiliary heads


class Pair(NamedTuple):
    first: Tensor
    second: Tensor | None


class Nests(nn.Module):
    """Returns one tensor twice, its input, constants, and a class index."""

    def forward(self, x: Tensor, ids: Tensor) -> Mapping[str, Any]:
        y = x * 2 + ids.float().mean()
        return {"pair": Pair(y, None), "list": [y, x, 3, "three"], "class": y.argmax(1)}


@pytest.mark.parametrize("executor", RUNTIMES, ids=lambda executor: executor.name)
def test_the_output_has_the_structure_of_eagers(executor: Executor) -> None:
    example = torch.randn(2, 4), torch.arange(6).reshape(2, 3)
    network = Nests()
    expected = network(*example)
    program = executor.prepare(network, request(*example))
    actual = program.unload(program.run(program.load(example)))
    assert isinstance(actual["pair"], Pair)
    assert actual["pair"].second is None
    assert actual["list"][2:] == [3, "three"]
    for name in ("first", "class"):
        left, right = (
            (o["class"] if name == "class" else o["pair"].first) for o in (actual, expected)
        )
        assert torch.equal(left, right)
    assert torch.equal(actual["list"][0], expected["list"][0])
    assert torch.equal(actual["list"][1], example[0])


def test_a_structure_takes_as_many_tensors_as_it_has() -> None:
    structure = Structure.of((torch.zeros(1), "a", [torch.zeros(2)]))
    first, second = torch.ones(1), torch.ones(2)
    nested = structure.nest([first, second])
    assert nested[0] is first
    assert nested[1:] == ("a", [second])
    with pytest.raises(ValueError, match="shorter"):
        structure.nest([first])


def test_a_structure_refuses_what_may_hide_tensors() -> None:
    with pytest.raises(TypeError, match="contains a Pool, which is neither a tensor nor a type"):
        Structure.of({"pool": Pool()})


class Pool:
    pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_export_frees_the_weights_and_keeps_their_sizes(dtype: torch.dtype) -> None:
    network = tiny.net().eval()
    sizes = [parameter.shape for parameter in network.parameters()]
    with exported(network, request(torch.randn(1, 3, 8, 8), dtype=dtype), "it") as model:
        assert model.path.stat().st_size > 4 * tiny.NUM_CLASSES * tiny.CHANNELS
    assert not model.path.exists()
    for parameter, size in zip(network.parameters(), sizes, strict=True):
        assert (parameter.shape, parameter.dtype, parameter.is_meta) == (size, dtype, True)


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 2 * x) if x.sum() > 0 else x


class Unsupported(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        bessel: Tensor = torch.special.bessel_j0(x)
        return bessel


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Branches(), "GuardOnDataDependentSymNode: Could not guard on data-dependent expression"),
        (Unsupported(), "No ONNX function found for"),
    ],
)
def test_a_network_that_cannot_be_exported_is_refused_in_a_sentence(
    network: nn.Module, reason: str
) -> None:
    with (
        pytest.raises(RequestError) as raised,
        exported(network, request(torch.randn(2, 3)), "onnxruntime"),
    ):
        pass
    message = str(raised.value)
    assert message.startswith(
        "onnxruntime cannot run this network, because its export to ONNX fails with "
    )
    assert reason in message
    assert message.endswith("; choose another mode")
    assert "\n" not in message
    assert "\x1b" not in message
