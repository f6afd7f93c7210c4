import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import ResNet

import googlenet
from bench.cells import archs
from bench.names import RequestError
from googlenet.heads import GoogLeNetOutput
from googlenet.model import GoogLeNet
from googlenet.variants import VARIANTS

FACTORIES = "tests.bench.factories"


def test_registered_are_the_variants_in_order() -> None:
    assert [arch.name for arch in archs.registered()] == list(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_registered_name_says_what_differs_from_what(name: str) -> None:
    arch, variant = archs.find(name), VARIANTS[name]
    assert (arch.name, arch.source) == (name, variant.source)
    assert arch.what.startswith(variant.factor)
    assert variant.neighbour is None or arch.what.endswith(f"(beside {variant.neighbour})")


@pytest.mark.parametrize("aux", [False, True])
def test_a_registered_name_builds_with_and_without_heads(aux: bool) -> None:
    with torch.device("meta"):
        model = archs.find("googlenet").build(aux)
    assert isinstance(model, GoogLeNet)
    assert (model.aux1 is not None) is (model.aux2 is not None) is aux


def test_any_of_torchvisions_classifiers_builds() -> None:
    arch = archs.find("torchvision:resnet18")
    with torch.device("meta"):
        model = arch.build(False)
    assert arch.name == "torchvision:resnet18"
    assert isinstance(model, ResNet)
    # torchvision's documentation of resnet18: num_params 11,689,512.
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_689_512


@pytest.mark.parametrize(("aux", "params"), [(False, 6_624_904), (True, 13_004_888)])
def test_torchvisions_googlenet_comes_with_heads_where_asked(aux: bool, params: int) -> None:
    with torch.device("meta"):
        model = archs.find("torchvision:googlenet").build(aux)
    assert sum(parameter.numel() for parameter in model.parameters()) == params


def test_a_factory_of_your_own_builds() -> None:
    arch = archs.find(f"{FACTORIES}:tiny")
    with torch.inference_mode():
        logits = arch.build(False).eval()(torch.zeros(2, 3, 224, 224))
    assert logits.shape == (2, 1000)
    assert arch.source == f"{FACTORIES}:tiny"


def test_an_unknown_name_mentions_the_nearest_and_the_known() -> None:
    with pytest.raises(RequestError, match=r"'gogglenet'; did you mean 'googlenet'\?") as caught:
        archs.find("gogglenet")
    for name in VARIANTS:
        assert name in str(caught.value)


def test_an_unknown_torchvision_classifier_mentions_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"'resnet81'; did you mean 'resnet\d+'\?"):
        archs.find("torchvision:resnet81").build(False)


@pytest.mark.parametrize("name", [":", ":x", "x:", "torchvision:"])
def test_half_a_name_says_what_is_expected(name: str) -> None:
    with pytest.raises(RequestError, match=rf"^'{name}' is no arch: expected .*module:factory$"):
        archs.find(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_package.nets:net", "cannot take 'net' from 'no_such_package.nets': No module"),
        ("tests.bench.no_such:net", r"cannot take 'net' from 'tests.bench.no_such': No module"),
        (f"{FACTORIES}:no_such", f"cannot take 'no_such' from '{FACTORIES}': module .* no attr"),
        (f"{FACTORIES}:tiny:more", "cannot take 'tiny:more'"),
        (f"{FACTORIES}:not_a_network", r"not_a_network\(\) returned dict, not an nn.Module"),
        (f"{FACTORIES}:not_callable", "not_callable"),
        (".factories:tiny", ".factories"),
        (
            "tests.bench.broken:raises_when_built",
            r"built\(\) raised RuntimeError: no such weights$",
        ),
        ("tests.bench.broken:needs_an_argument", r"raised TypeError: .* missing 1 required pos"),
        ("tests.bench.broken:asserts", r"broken:asserts\(\) raised AssertionError$"),
        ("tests.bench.broken:looks_up", r"broken:looks_up\(\) raised KeyError: 'weights'$"),
    ],
)
def test_a_factory_that_cannot_build_is_a_wrong_request(name: str, sentence: str) -> None:
    arch = archs.find(name)
    with pytest.raises(RequestError, match=sentence):
        arch.build(False)


def test_a_module_that_raises_is_a_wrong_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets_that_raise.py").write_text("weights = {}['weights']\n")
    (tmp_path / "nets_misspelt.py").write_text("def net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError, match=r"importing nets_that_raise raised KeyError: 'weights'"):
        archs.find("nets_that_raise:net").build(False)
    with pytest.raises(RequestError, match=r"importing nets_misspelt raised SyntaxError: .*line 1"):
        archs.find("nets_misspelt:net").build(False)


def test_a_lack_of_memory_is_no_wrong_request() -> None:
    def greedy() -> NoReturn:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.bench.factories.greedy", greedy, raising=False)
        with pytest.raises(MemoryError):
            archs.find(f"{FACTORIES}:greedy").build(False)


def test_finding_imports_no_torch() -> None:
    script = (
        "import sys; from bench.cells import archs; archs.registered(); "
        f"archs.find('torchvision:alexnet'); archs.find('{FACTORIES}:tiny'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_loss_with_and_without_heads() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, aux1, aux2 = (torch.randn(2, 5, generator=generator) for _ in range(3))
    target = torch.tensor([1, 4])
    output = GoogLeNetOutput(logits, aux1, aux2)
    assert torch.equal(archs.loss(logits, target), F.cross_entropy(logits, target))
    torch.testing.assert_close(archs.loss(output, target), googlenet.loss(output, target))
    assert archs.loss(output, target) > archs.loss(logits, target)
    assert archs.classes(logits) == archs.classes(output) == 5


class _Outputs(NamedTuple):
    """As networks put them out whose head did not run."""

    logits: torch.Tensor
    aux: torch.Tensor | None


def test_a_head_that_did_not_run_has_no_loss() -> None:
    logits, target = torch.randn(2, 5), torch.tensor([1, 4])
    assert torch.equal(archs.loss(_Outputs(logits, None), target), F.cross_entropy(logits, target))


class _NoLogits(NamedTuple):
    out: torch.Tensor


@pytest.mark.parametrize("wrap", [lambda out: {"out": out}, lambda out: (out,), _NoLogits])
def test_an_output_without_logits_cannot_be_trained_on(
    wrap: Callable[[torch.Tensor], object],
) -> None:
    output = wrap(torch.zeros(2, 5))
    says = f"cannot train on an output of type {type(output).__name__}: expected logits"
    with pytest.raises(RequestError, match=says):
        archs.loss(output, torch.tensor([1, 4]))
    with pytest.raises(RequestError, match=says):
        archs.classes(output)
