import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest
import torch
import torch.nn.functional as F
from torchvision import models
from torchvision.models import ResNet

import googlenet
from bench import archs
from bench.archs.torchvision import TORCHVISION
from bench.cells import loss, plan_values
from bench.cells.inputs import Drawing
from bench.errors import RequestError
from googlenet.heads import GoogLeNetOutput
from googlenet.model import GoogLeNet
from googlenet.variants import VARIANTS
from tests.limits import HANG_S

FACTORIES = "tests.bench.factories"


def test_registered_returns_the_variants_in_order() -> None:
    assert [arch.name for arch in archs.registered()] == list(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_registered_arch_describes_its_difference_and_neighbour(name: str) -> None:
    arch, variant = archs.find(name), VARIANTS[name]
    assert (arch.name, arch.source) == (name, variant.source)
    assert arch.what.startswith(variant.factor)
    assert variant.neighbour is None or arch.what.endswith(f"(compared with {variant.neighbour})")


@pytest.mark.parametrize("aux", [False, True])
def test_registered_arch_builds_with_and_without_heads(aux: bool) -> None:
    with torch.device("meta"):
        model = archs.find("googlenet").build(aux)
    assert isinstance(model, GoogLeNet)
    assert (model.aux1 is not None) is (model.aux2 is not None) is aux


def test_torchvision_classifier_builds() -> None:
    arch = archs.find("torchvision:resnet18")
    with torch.device("meta"):
        model = arch.build(False)
    assert arch.name == "torchvision:resnet18"
    assert isinstance(model, ResNet)
    # torchvision's documentation of resnet18: num_params 11,689,512.
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_689_512


@pytest.mark.parametrize(("name", "pixels"), [("vit_b_16", 224), ("vit_h_14", 518)])
def test_a_vision_transformer_is_built_for_the_images_of_its_weights(
    name: str, pixels: int
) -> None:
    arch = archs.find(f"torchvision:{name}")
    with torch.device("meta"):
        model = arch.build(False)
    assert model.image_size == arch.image_size() == pixels


@pytest.mark.parametrize(("aux", "params"), [(False, 6_624_904), (True, 13_004_888)])
def test_torchvision_googlenet_builds_with_heads_on_request(aux: bool, params: int) -> None:
    with torch.device("meta"):
        model = archs.find("torchvision:googlenet").build(aux)
    assert sum(parameter.numel() for parameter in model.parameters()) == params


def test_user_defined_factory_builds() -> None:
    arch = archs.find(f"{FACTORIES}:tiny")
    with torch.inference_mode():
        logits = arch.build(False).eval()(torch.zeros(2, 3, 224, 224))
    assert logits.shape == (2, 1000)
    assert arch.source == f"{FACTORIES}:tiny"


def test_unknown_name_error_lists_the_nearest_and_known_names() -> None:
    with pytest.raises(RequestError, match=r"'gogglenet'; did you mean 'googlenet'\?") as caught:
        archs.find("gogglenet")
    for name in VARIANTS:
        assert name in str(caught.value)


def test_unknown_torchvision_classifier_error_names_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"'resnet81'; did you mean 'resnet\d+'\?"):
        archs.find("torchvision:resnet81").build(False)


@pytest.mark.parametrize("name", [":", ":x", "x:", "torchvision:"])
def test_incomplete_name_error_says_what_is_expected(name: str) -> None:
    with pytest.raises(
        RequestError, match=rf"^'{name}' is not an arch: expected .*module:factory$"
    ):
        archs.find(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_package.nets:net", "cannot import 'net' from 'no_such_package.nets': No module"),
        ("tests.bench.no_such:net", r"cannot import 'net' from 'tests.bench.no_such': No module"),
        (f"{FACTORIES}:no_such", f"cannot import 'no_such' from '{FACTORIES}': module .* no attr"),
        (f"{FACTORIES}:tiny:more", "cannot import 'tiny:more'"),
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
def test_factory_that_cannot_build_raises_request_error(name: str, sentence: str) -> None:
    arch = archs.find(name)
    with pytest.raises(RequestError, match=sentence):
        arch.build(False)


def test_module_that_fails_to_import_raises_request_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets_that_raise.py").write_text("weights = {}['weights']\n")
    (tmp_path / "nets_misspelt.py").write_text("def net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError, match=r"importing nets_that_raise raised KeyError: 'weights'"):
        archs.find("nets_that_raise:net").build(False)
    with pytest.raises(RequestError, match=r"importing nets_misspelt raised SyntaxError: .*line 1"):
        archs.find("nets_misspelt:net").build(False)


def test_memory_error_of_a_factory_is_not_a_request_error() -> None:
    def greedy() -> NoReturn:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.bench.factories.greedy", greedy, raising=False)
        with pytest.raises(MemoryError):
            archs.find(f"{FACTORIES}:greedy").build(False)


def test_find_does_not_import_torch() -> None:
    script = (
        "import sys; from bench import archs; archs.registered(); "
        f"archs.find('torchvision:alexnet'); archs.find('{FACTORIES}:tiny'); "
        "print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    assert result.stdout.strip() == "False"


def test_loss_with_and_without_heads() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, aux1, aux2 = (torch.randn(2, 5, generator=generator) for _ in range(3))
    target = torch.tensor([1, 4])
    output = GoogLeNetOutput(logits, aux1, aux2)
    assert torch.equal(loss.loss(logits, target), F.cross_entropy(logits, target))
    torch.testing.assert_close(loss.loss(output, target), googlenet.loss(output, target))
    assert loss.loss(output, target) > loss.loss(logits, target)
    assert loss.num_classes(logits) == loss.num_classes(output) == 5


class _Outputs(NamedTuple):
    """Output of a network whose auxiliary head did not run."""

    logits: torch.Tensor
    aux: torch.Tensor | None


def test_head_that_did_not_run_adds_no_loss() -> None:
    logits, target = torch.randn(2, 5), torch.tensor([1, 4])
    assert torch.equal(loss.loss(_Outputs(logits, None), target), F.cross_entropy(logits, target))


class _NoLogits(NamedTuple):
    out: torch.Tensor


@pytest.mark.parametrize("wrap", [lambda out: {"out": out}, lambda out: (out,), _NoLogits])
def test_output_without_logits_raises_request_error(
    wrap: Callable[[torch.Tensor], object],
) -> None:
    output = wrap(torch.zeros(2, 5))
    message = f"cannot train on an output of type {type(output).__name__}: expected logits"
    with pytest.raises(RequestError, match=message):
        loss.loss(output, torch.tensor([1, 4]))
    with pytest.raises(RequestError, match=message):
        loss.num_classes(output)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [  # torchvision's documentation of the weights: crop_size
        ("googlenet", 224),
        ("torchvision", 224),
        ("torchvision:resnet18", 224),
        ("torchvision:inception_v3", 299),
        ("torchvision:efficientnet_b3", 300),
        ("torchvision:vit_h_14", 518),
        ("tests.bench.tiny:net", None),
        ("tests.bench.tiny:for_images_of_48", 48),
    ],
)
def test_an_arch_says_the_size_of_the_images_that_it_is_made_for(
    name: str, pixels: int | None
) -> None:
    assert archs.find(name).image_size() == pixels


def test_a_factory_with_an_impossible_image_size_is_refused() -> None:
    with pytest.raises(RequestError, match=r"image_size is '48', not a whole number of pixels"):
        archs.find("tests.bench.tiny:for_images_of_text").image_size()


@pytest.mark.parametrize(
    "name", ["googlenet", "torchvision:inception_v3", "tests.bench.tiny:for_images_of_48"]
)
def test_a_name_may_ask_for_a_size_of_images(name: str) -> None:
    arch = archs.find(f"{name}@96")
    assert (arch.name, arch.requested_shape) == (f"{name}@96", (3, 96, 96))
    for option in (None, 64):
        ((images,), (others,)) = (Drawing(found, option)(1) for found in (arch, archs.find(name)))
        assert images.shape == (1, 3, 96, 96)
        assert others.shape[-1] == (option or archs.find(name).image_size())


def test_sizes_that_no_network_can_have_are_refused() -> None:
    with pytest.raises(RequestError, match="asks for images of 0 pixels"):
        archs.find("googlenet@0")
    for wrong in ("googlenet@big", "googlenet@" + "9" * 5_000, "googlenet@", "googlenet@-1"):
        with pytest.raises(RequestError, match=r"pixels \(googlenet@192\), or .*@1x28x28\)$"):
            archs.find(wrong)
    grey = archs.find("tests.bench.own_inputs:grey@28")
    with pytest.raises(RequestError, match="has inputs of its own"):
        Drawing(grey, None)(1)


def test_one_network_at_two_sizes_is_two_networks_of_a_plan() -> None:
    cells = plan_values.cells(
        arch_names=("googlenet@96", "googlenet@64"),
        mode_names=("eager",),
        dtype_names=("fp32",),
        batch_sizes=(1,),
        task_names=("infer",),
        device="cpu",
    )
    assert [cell.id for cell in cells] == [
        f"googlenet@{size}/eager/fp32/b1/infer/cpu" for size in (96, 64)
    ]
    assert len({cell.group for cell in cells}) == 1


def test_the_names_of_torchvision_are_read_without_importing_it() -> None:
    assert set(TORCHVISION.names()) == set(models.list_models(module=models))
    code = (
        "import sys; from bench.archs.torchvision import TORCHVISION as t; "
        "print(len(t.names()), 'torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [str(len(models.list_models(module=models))), "False", "False"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet18", "torchvision:resnet18"),
        ("vit_b_61", "torchvision:vit_b_16"),
        ("gogglenet", "googlenet"),
        ("resnet18@64", "torchvision:resnet18"),
    ],
)
def test_an_unknown_name_hints_at_every_source(name: str, nearest: str) -> None:
    with pytest.raises(RequestError, match=f"did you mean '{nearest}'\\? known: googlenet,"):
        archs.find(name)
