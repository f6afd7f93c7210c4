import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import GraphModule

import googlenet
from bench.cells import modes
from bench.errors import RequestError
from bench.executors import EXECUTORS
from bench.executors.executor import Executor, Program
from bench.rewrites import REWRITES, packed
from bench.worker import distance, memory
from tests.bench.assembled import task, without_inductor
from tests.bench.rewrites import oracle

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def operators(model: nn.Module) -> list[str]:
    """Return the operators of a packed network; of a convolution, with its activation."""
    assert isinstance(model, GraphModule)
    return [
        f"{node.target} {node.args[7]}" if "pointwise" in str(node.target) else str(node.target)
        for node in model.graph.nodes
        if node.op == "call_function"
    ]


class Net(nn.Module):
    """A convolution whose output a function uses."""

    def __init__(self, run: Callable[[Tensor], Tensor], **options: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, kernel_size=3, **options)  # type: ignore[arg-type]
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.conv(x))


def relu_and_itself(x: Tensor) -> Tensor:
    return F.relu(x) + x


CONVOLUTION = "mkldnn._convolution_pointwise.default"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (F.relu, [f"{CONVOLUTION} relu"]),
        (nn.ReLU(inplace=True), [f"{CONVOLUTION} relu"]),
        (F.silu, [f"{CONVOLUTION} none", "aten.silu.default"]),
        (relu_and_itself, [f"{CONVOLUTION} none", "aten.relu.default", "aten.add.Tensor"]),
    ],
)
def test_a_relu_goes_into_the_convolution_unless_others_use_its_output(
    run: Callable[[Tensor], Tensor], expected: list[str]
) -> None:
    assert operators(oracle.check(Net(run).eval(), IMAGES, "packed")) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"bias": False},
        {"stride": 2, "padding": 1},
        {"dilation": 2},
        {"groups": 3},
        {"padding": (0, 1)},
        {"padding": 1, "padding_mode": "reflect"},
    ],
)
def test_every_geometry_is_packed(options: dict[str, object]) -> None:
    found = oracle.check(Net(F.relu, **options).eval(), IMAGES, "packed")
    assert f"{CONVOLUTION} relu" in operators(found)


def test_all_convolutions_of_googlenet_are_packed_with_their_relus() -> None:
    torch.manual_seed(0)
    model = oracle.randomised(googlenet.build("googlenet"))
    found = oracle.check(model, torch.randn(2, 3, 32, 32), "fold+fuse+packed")
    assert operators(found).count(f"{CONVOLUTION} relu") == 57 - 2 * 9
    assert not {"aten.conv2d.default", "aten.relu_.default", "aten.relu.default"} & {
        *operators(found)
    }
    # Weights are kept once: convolutions and the classifier, with a bias for each channel.
    assert 0.9 < memory.weights_bytes(found) / memory.weights_bytes(model) < 1.01


def test_a_weight_of_two_convolutions_is_not_packed() -> None:
    conv = nn.Conv2d(3, 3, kernel_size=1)
    model = nn.Sequential(conv, nn.MaxPool2d(2), conv).eval()
    assert oracle.check(model, IMAGES, "packed") is model


def test_a_network_without_convolutions_is_returned_as_it_is() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).eval()
    assert oracle.check(model, IMAGES, "packed") is model


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bf16 on this CPU"
)
def test_bf16_is_packed_after_the_cast() -> None:
    model = Net(F.relu).eval()
    plain = task(copy.deepcopy(model), IMAGES, mode="channels_last", dtype="bf16")
    made = task(model, IMAGES, mode="packed", dtype="bf16")
    assert operators(made.model) == [f"{CONVOLUTION} relu"]
    with made.context():
        expected, actual = (one.answer().outputs["output"] for one in (plain, made))
    assert distance.relative_error(actual, expected) < torch.finfo(torch.bfloat16).eps


@pytest.mark.skipif(
    torch.ops.mkldnn._is_mkldnn_fp16_supported(), reason="oneDNN has fp16 on this CPU"
)
def test_a_dtype_that_the_cpu_lacks_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match=r"^oneDNN cannot pack weights of torch\.float16 on"):
        REWRITES["packed"].apply(Net(F.relu).eval().half(), (IMAGES.half(),))


def test_absent_operators_are_named_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_REORDER", "_nothing_like_it")
    with pytest.raises(
        RequestError, match=r"^the rewrite packed needs torch\.ops\.mkldnn\._nothing_like_it, which"
    ):
        REWRITES["packed"].apply(Net(F.relu).eval(), (IMAGES,))
    monkeypatch.undo()
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    with pytest.raises(RequestError, match=r"^the rewrite packed needs oneDNN, which PyTorch"):
        REWRITES["packed"].apply(Net(F.relu).eval(), (IMAGES,))


def test_dynamo_captures_it_in_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    without_inductor(monkeypatch)
    model = Net(F.relu).eval()
    with torch.no_grad():
        expected = model(IMAGES)
    made = task(model, IMAGES, mode="compile+packed")
    with made.context():
        actual = made.answer().outputs["output"]
    assert distance.relative_error(actual, expected) < REWRITES["packed"].error_budget
    explained = torch._dynamo.explain(made.model)(*made.batch.inputs)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


def test_executors_of_other_runtimes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = Executor(name="arrays", what="", prepare=lambda *_: Program())
    monkeypatch.setattr(modes, "EXECUTORS", {**EXECUTORS, "arrays": arrays})
    modes.check("arrays+fold", "cpu", ["infer"])
    modes.check("compile+packed", "cpu", ["infer"])
    with pytest.raises(
        RequestError,
        match=r"^mode token 'packed' uses operators that arrays does not run: combine it with "
        "eager, compile, max-autotune, freeze$",
    ):
        modes.check("arrays+packed", "cpu", ["infer"])
