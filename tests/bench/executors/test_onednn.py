import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import googlenet
from bench.archs.source import Inputs
from bench.errors import RequestError
from bench.executors.onednn import ONEDNN, ScriptedProgram, partitions
from bench.executors.request import ExecutorRequest
from tests.bench import tiny
from tests.bench.executors.test_exported import Branching
from tests.bench.rewrites import oracle

IMAGES = 1, 3, 64, 64


@pytest.fixture(autouse=True)
def one_cell() -> Iterator[None]:
    """Leave oneDNN Graph off for other tests of this process: a worker has one cell."""
    before = torch.jit.onednn_fusion_enabled()
    yield
    torch.jit.enable_onednn_fusion(before)


def request(example: Inputs) -> ExecutorRequest:
    return ExecutorRequest(
        example=example,
        dtype=torch.float32,
        device=torch.device("cpu"),
        threads=torch.get_num_threads(),
    )


def program(module: nn.Module, shape: tuple[int, ...] = IMAGES) -> ScriptedProgram:
    prepared = ONEDNN.prepare(module, request((torch.randn(shape),)))
    assert isinstance(prepared, ScriptedProgram)
    return prepared


def inception() -> nn.Module:
    return oracle.randomised(googlenet.build("googlenet", num_classes=10))


def test_an_inception_with_random_batch_norms_answers_like_eager() -> None:
    model = inception()
    made = program(model)
    with torch.inference_mode():
        for _ in range(2):
            images = torch.randn(IMAGES)
            assert torch.allclose(made.run((images,)), model(images), rtol=1e-4, atol=1e-5)


def test_onednn_runs_the_convolutions_poolings_and_concatenations() -> None:
    made = program(inception())
    operators = [name for each in made._partitions for name in each.split("+")]
    assert operators.count("convolution") == 57
    assert operators.count("relu") == 57
    assert operators.count("cat") == 9
    assert operators.count("max_pool2d") == 13
    assert "batch_norm" not in operators
    assert made.settings() == {
        "oneDNN partitions": str(len(made._partitions)),
        "threads": str(torch.get_num_threads()),
    }


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": a + b, "product": a * self.linear(b)}


def test_several_inputs_and_named_outputs_are_kept() -> None:
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    model = TwoInputs().eval()
    made = ONEDNN.prepare(model, request((a, b)))
    with torch.inference_mode():
        output, expected = made.run((b, a)), model(b, a)
    assert output.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(output[name], value)


def test_a_network_without_operators_of_onednn_is_refused() -> None:
    with pytest.raises(RequestError, match="onednn runs no operator of this network, or PyTorch"):
        program(nn.Flatten())


def test_no_warning_says_that_torchscript_is_deprecated() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program(tiny.net().eval())


def test_the_network_stays_as_it_is() -> None:
    model = oracle.randomised(tiny.net())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    program(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_partition_is_profiled_under_its_operators() -> None:
    program(tiny.net().eval())  # takes the first numbers
    made = program(tiny.net().eval())
    images = (torch.randn(IMAGES),)
    with torch.inference_mode():
        profile = made.operators(lambda: made.run(images), images)
    kinds = {operator.kind: operator.calls for operator in profile.operators}
    assert {kind for kind in kinds if kind.startswith("oneDNN: convolution")}
    assert not [kind for kind in kinds if "Llga" in kind]


def test_partitions_are_read_in_the_order_of_calls() -> None:
    graph = """\
graph(%x : Tensor):
    %1 : Tensor = prim::oneDNNFusionGroup_0[output_layouts=[1]](%x)
    %2 : Tensor = prim::oneDNNFusionGroup_1[output_layouts=[0]](%1)
  return (%2)
with prim::oneDNNFusionGroup_0 = graph(%x : Float(1, 3)):
  %y : Tensor = aten::_convolution(%x)
  %z : Tensor = aten::relu(%y)
  return (%z)
with prim::oneDNNFusionGroup_1 = graph(%x : Float(1, 3)):
  %n : int = prim::Constant[value=1]()
  %y : Tensor = aten::cat(%x, %n)
  return (%y)
"""
    assert partitions(graph) == ["convolution+relu", "cat"]


def test_a_profile_with_other_partitions_keeps_the_numbers() -> None:
    made = program(tiny.net().eval())
    assert made._kinds(["LlgaPartition_7"] * (len(made._partitions) + 1)) == {}


def test_a_failed_export_is_a_sentence() -> None:
    with pytest.raises(RequestError, match=r"onednn needs torch\.export, which cannot"):
        program(Branching())


@pytest.mark.parametrize(
    ("function", "part"), [("trace", "TorchScript"), ("last_executed", "oneDNN Graph")]
)
def test_a_failed_compilation_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, function: str, part: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("could not create\nsecond line")

    if function == "trace":
        monkeypatch.setattr("torch.jit.trace", fail)
    else:
        monkeypatch.setattr("torch.jit.freeze", lambda _: fail)
    with pytest.raises(RequestError) as raised:
        program(tiny.net().eval())
    assert str(raised.value) == (
        f"onednn cannot run this network, because {part} fails with RuntimeError: could not "
        "create; choose compile or eager"
    )


def test_a_file_answers_like_the_network(tmp_path: Path) -> None:
    model = oracle.randomised(tiny.net())
    images = torch.randn(IMAGES)
    assert ONEDNN.file is not None
    path = tmp_path / "net.pt"
    ONEDNN.file.write(model, request((images,)), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.jit.load(path)
    with torch.inference_mode():
        assert torch.allclose(loaded(images), model(images), rtol=1e-4, atol=1e-5)
