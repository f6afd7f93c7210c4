"""Every network in the formats of other tools gives the same outputs as the network itself."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

import googlenet
from googlenet import VARIANTS, GoogLeNetOutput

CLASSES = 5
BATCH = torch.export.Dim("batch")
# These cover both norms, both stems, and both classes: this project's and torchvision's. The other
# networks differ only in sizes, and an export to ONNX takes seconds.
DISTINCT = ["googlenet-separable", "googlenet-caffe", "torchvision"]
EVERY_NETWORK = [(name, aux) for name in VARIANTS for aux in (False, True)]


def label(case: tuple[str, bool]) -> str:
    name, aux = case
    return f"{name}-with-heads" if aux else name


SLOW = pytest.mark.slow


def networks(quick: Callable[[str, bool], bool]) -> list[Any]:
    """Return every network as a parameter; ``nox -s slow`` tests those that are not ``quick``."""
    return [
        pytest.param((name, aux), id=label((name, aux)), marks=() if quick(name, aux) else SLOW)
        for name, aux in EVERY_NETWORK
    ]


# Networks with heads are tested in training mode, which runs all of their code; others in eval().
SOME = networks(lambda name, _aux: name in DISTINCT)
ONE = networks(lambda name, aux: (name, aux) == ("googlenet", True))


torch_jit = pytest.mark.filterwarnings(
    # TorchScript is still widely used for deployment, and by fvcore.
    r"ignore:`torch.jit.\w+` is deprecated:FutureWarning",
    r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning",
    # Raised for a torch.fx graph, whose constructor annotates an empty dictionary.
    "ignore:The TorchScript type system doesn't support instance-level annotations:UserWarning",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: tiny operators only wait for a second one, especially on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(name: str, aux: bool) -> nn.Module:
    torch.manual_seed(0)
    return googlenet.build(name, aux=aux, num_classes=CLASSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network, in training mode if it has heads."""

    name: str
    aux: bool
    network: nn.Module

    def images(self, count: int) -> Tensor:
        return images(self.name, count, aux=self.aux)


@pytest.fixture(scope="module", params=EVERY_NETWORK, ids=label)
def case(request: pytest.FixtureRequest) -> Case:
    name, aux = request.param
    return Case(name=name, aux=aux, network=build(name, aux))


@pytest.fixture(autouse=True)
def mode(request: pytest.FixtureRequest) -> None:
    """Reset a network's mode, because its tests share the network."""
    if "case" in request.fixturenames:
        case: Case = request.getfixturevalue("case")
        case.network.train(case.aux)


def images(name: str, count: int, *, aux: bool) -> Tensor:
    """Return small images; the paper's heads need images near 224×224 to pool to 4×4."""
    config = VARIANTS[name].config
    paper_heads = aux and config is not None and config.aux_pool == "average5x5"
    size = 224 if paper_heads else 48
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def output_of(network: Callable[[Tensor], Any], x: Tensor) -> Any:
    torch.manual_seed(3)  # seed of the dropouts
    # Not optimised, because TorchScript compiles for seconds in its second run.
    with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        return network(x)


def assert_same(actual: Any, expected: Any) -> None:
    """Check that both are the same logits, or the same three tensors in the same order."""
    actual, expected = (
        (out,) if isinstance(out, Tensor) else tuple(out) for out in (actual, expected)
    )
    # Both run the same operators, but a compiler may change the order of a sum.
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def assert_same_outputs(
    actual: Callable[[Tensor], Any], network: Callable[[Tensor], Any], x: Tensor
) -> None:
    assert_same(output_of(actual, x), output_of(network, x))


def test_fx_keeps_the_outputs_and_the_check(case: Case) -> None:
    network = case.network
    graph = torch.fx.symbolic_trace(network)
    x = case.images(2)
    actual, expected = output_of(graph, x), output_of(network, x)
    assert type(actual) is type(expected)
    assert_same(actual, expected)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    with pytest.raises(ValueError, match="expected 3 input channels; got 1 in shape"):
        graph(x[:, :1])


def test_fx_keeps_the_check_of_the_papers_heads() -> None:
    graph = torch.fx.symbolic_trace(build("googlenet-caffe", True).train())
    with torch.no_grad(), pytest.raises(ValueError, match=r"224×224.*adaptive4x4"):
        graph(torch.randn(2, 3, 64, 64))


@torch_jit
@pytest.mark.parametrize("case", SOME, indirect=True)
def test_script_follows_the_mode(case: Case) -> None:
    network = case.network.train()
    scripted = torch.jit.script(network)
    x = case.images(2)
    actual = output_of(scripted, x)
    assert_same(actual, output_of(network, x))
    if case.aux:
        # TorchScript creates a new named tuple class with the same fields.
        assert actual._fields == GoogLeNetOutput._fields
    actual = output_of(scripted.eval(), x)
    assert type(actual) is Tensor
    assert_same(actual, output_of(network.eval(), x))


@torch_jit
def test_script_takes_a_graph_of_fx_and_can_be_saved() -> None:
    network = build("googlenet-caffe", True).train()
    scripted = torch.jit.script(torch.fx.symbolic_trace(network))
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    assert_same_outputs(torch.jit.load(file), network, images("googlenet-caffe", 2, aux=True))


@torch_jit
@pytest.mark.parametrize("case", SOME, indirect=True)
def test_trace_is_valid_for_other_batches(case: Case) -> None:
    network = case.network
    with warnings.catch_warnings():
        # Ignores warnings from torch's own modules, as torch does by default for users.
        torch.jit.TracerWarning.ignore_lib_warnings()  # type: ignore[attr-defined]
        # The tracer's own check would run dropout a second time, with other random numbers.
        traced = torch.jit.trace(network, case.images(2), check_trace=not case.aux)
    assert_same_outputs(traced, network, case.images(3))


@torch_jit
def test_trace_refuses_too_small_images_with_a_message() -> None:
    with pytest.raises(ValueError, match=r"at least 31×31 pixels.*got 30×64"):
        torch.jit.trace(build("googlenet", False).eval(), torch.randn(2, 3, 30, 64))


@pytest.mark.parametrize("case", SOME, indirect=True)
def test_export_takes_any_batch_size(case: Case) -> None:
    network = case.network
    example = (case.images(2),)
    exported = torch.export.export(network, example, dynamic_shapes=({0: BATCH},)).module()
    x = case.images(3)
    actual, expected = output_of(exported, x), output_of(network, x)
    assert type(actual) is type(expected)
    assert_same(actual, expected)


@pytest.mark.parametrize("case", ONE, indirect=True)
def test_onnx_takes_any_batch_size(case: Case, tmp_path: Path) -> None:
    name, network = case.name, case.network.eval()
    example = (images(name, 2, aux=False),)
    program = torch.onnx.export(
        network, example, dynamo=True, dynamic_shapes=({0: BATCH},), verbose=False
    )
    assert program is not None
    path = tmp_path / "network.onnx"
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = images(name, 3, aux=False)
    (actual,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    expected = output_of(network, x)
    # Other kernels are used, so each of some 60 layers rounds differently.
    torch.testing.assert_close(torch.from_numpy(actual), expected, rtol=1e-3, atol=1e-4)


def pickled(network: nn.Module) -> nn.Module:
    twin: nn.Module = pickle.loads(pickle.dumps(network))  # noqa: S301 - bytes from this function
    return twin


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_are_complete_and_independent(
    case: Case, copied: Callable[[nn.Module], nn.Module]
) -> None:
    network = case.network
    twin = copied(network)
    assert_same_outputs(twin, network, case.images(2))
    assert twin.state_dict().keys() == network.state_dict().keys()
    shared = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert shared.isdisjoint(tensor.data_ptr() for tensor in twin.state_dict().values())


@pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained by tracing the model in eval mode")
@pytest.mark.parametrize("case", SOME, indirect=True)
def test_a_feature_extractor_returns_the_intermediate_features(case: Case) -> None:
    network = case.network.eval()
    x = images(case.name, 2, aux=False)
    seen: list[Tensor] = []
    block = network.get_submodule("inception4a")
    hook = block.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    expected = output_of(network, x)
    hook.remove()
    extractor = create_feature_extractor(network, {"inception4a": "features", "fc": "logits"})
    actual = output_of(extractor, x)
    torch.testing.assert_close(actual["features"], seen[0])
    torch.testing.assert_close(actual["logits"], expected)
    if case.aux:
        heads = ["fc", "aux1.fc2", "aux2.fc2"]
        extractor = create_feature_extractor(
            network.train(), train_return_nodes=heads, eval_return_nodes=["fc"]
        )
        x = case.images(2)
        actual = output_of(extractor, x)
        assert_same([actual[head] for head in heads], output_of(network, x))
