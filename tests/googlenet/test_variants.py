import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

import googlenet
from googlenet.config import INCEPTION_WIDTHS, GoogLeNetConfig, InceptionWidths
from googlenet.model import GoogLeNet
from googlenet.variants import VARIANTS, Variant
from tests.limits import HANG_S

DROPOUTS = {"dropout", "aux_dropout"}  # they act only in training, where a benchmark sets them to 0

# docs/facts.md: parameters without and with auxiliary heads, at 1000 classes.
SEED = (7_005_832, 13_385_816)
TORCHVISION = (6_624_904, 13_004_888)
CAFFE = (6_998_552, 13_378_280)


def input_channels() -> dict[str, int]:
    """Return the input channels of each Inception block; pooling does not change channels."""
    outputs = [192, *(widths.out_channels for widths in INCEPTION_WIDTHS.values())]
    return dict(zip(INCEPTION_WIDTHS, outputs, strict=False))


def plus(counts: tuple[int, int], more: int) -> tuple[int, int]:
    return counts[0] + more, counts[1] + more


def second_3x3(widths: InceptionWidths) -> int:
    """Return the additional parameters of two stacked 3×3 instead of one 5×5.

    The second 3×3 has its own batch norm.
    """
    reduced, out = widths.reduce5x5, widths.conv5x5
    return 9 * reduced * out + 9 * out * out + 2 * out - 25 * reduced * out


def without_reductions(in_channels: int, widths: InceptionWidths) -> int:
    """Return the additional parameters without the 1×1 reductions and their batch norms."""
    return sum(
        area * out * (in_channels - reduced) - reduced * (in_channels + 2)
        for area, reduced, out in (
            (9, widths.reduce3x3, widths.conv3x3),
            (25, widths.reduce5x5, widths.conv5x5),
        )
    )


# Per channel, Caffe's network has one bias, and the seed has batch norm's two parameters.
CHANNELS = (SEED[0] - CAFFE[0], SEED[1] - CAFFE[1])
INPUTS = input_channels()
PARAMS = {
    "googlenet": SEED,
    "googlenet-3x3": TORCHVISION,
    "googlenet-pool2": SEED,
    "googlenet-3x3-pool2": TORCHVISION,
    "torchvision": TORCHVISION,
    "googlenet-double3x3": plus(SEED, sum(map(second_3x3, INCEPTION_WIDTHS.values()))),
    "googlenet-separable": plus(SEED, 2_712 - 9_408),  # docs/facts.md, conv1
    "googlenet-naive": plus(
        SEED,
        sum(without_reductions(INPUTS[name], widths) for name, widths in INCEPTION_WIDTHS.items()),
    ),
    "googlenet-no-pool": SEED,
    "googlenet-bias": (SEED[0] + CHANNELS[0], SEED[1] + CHANNELS[1]),
    "googlenet-caffe": CAFFE,
}


def params(name: str, *, aux: bool) -> int:
    with torch.device("meta"):
        model = googlenet.build(name, aux=aux)
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_variant_has_an_expected_count() -> None:
    assert PARAMS.keys() == VARIANTS.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_parameter_counts_are_as_expected(name: str) -> None:
    assert (params(name, aux=False), params(name, aux=True)) == PARAMS[name]


def test_each_variant_except_the_first_names_an_earlier_neighbour() -> None:
    first, *rest = VARIANTS.values()
    assert first.neighbour is None
    names = list(VARIANTS)
    for variant in rest:
        assert variant.neighbour in names[: names.index(variant.name)], variant.name


def test_every_variant_has_its_name_a_factor_and_a_source() -> None:
    for name, variant in VARIANTS.items():
        assert variant.name == name
        assert variant.factor
        assert variant.source


def differences(first: GoogLeNetConfig, second: GoogLeNetConfig) -> set[str]:
    return {
        field.name
        for field in fields(GoogLeNetConfig)
        if getattr(first, field.name) != getattr(second, field.name)
    }


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_each_variant_differs_from_its_neighbour_in_one_factor(variant: Variant) -> None:
    neighbour = VARIANTS[variant.neighbour] if variant.neighbour else None
    if variant.config is None or neighbour is None or neighbour.config is None:
        # The first of the ladder, and torchvision's class, which test_reference.py compares.
        assert variant.name in {"googlenet", "torchvision"}
        return
    factors = differences(variant.config, neighbour.config) - DROPOUTS
    if variant.name == "googlenet-caffe":
        assert factors == {"norm", "aux_pool"}
    else:
        assert len(factors) == 1, factors


@pytest.mark.parametrize(
    ("name", "dropouts"),
    [  # before the classifier, and in each auxiliary head
        ("googlenet", (0.0, 0.0, 0.0)),
        ("googlenet-3x3-pool2", (0.2, 0.7, 0.7)),  # those of torchvision
        ("torchvision", (0.2, 0.7, 0.7)),
        ("googlenet-caffe", (0.4, 0.7, 0.7)),  # those of the paper: Table 1, and section 5
    ],
)
def test_the_dropouts_are_those_of_the_source(
    name: str, dropouts: tuple[float, float, float]
) -> None:
    with torch.device("meta"):
        model = googlenet.build(name, aux=True)
    found = {path: part.p for path, part in model.named_modules() if isinstance(part, nn.Dropout)}
    assert found == dict(zip(("dropout", "aux1.dropout", "aux2.dropout"), dropouts, strict=True))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'googlenet-4x4'") as caught:
        googlenet.build("googlenet-4x4")
    for name in VARIANTS:
        assert name in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"did you mean 'googlenet-3x3-pool2'\? known: googlenet, "
    ):
        googlenet.build("googlenet-3x3-pol2")


def test_torchvision_accepts_only_three_channels() -> None:
    with pytest.raises(ValueError, match="3 input channels, not 1"):
        googlenet.build("torchvision", in_channels=1)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_runs(name: str) -> None:
    model = googlenet.build(name, aux=True, num_classes=6).eval()
    with torch.inference_mode():
        output = model(torch.randn(2, 3, 64, 64))
    assert type(output) is torch.Tensor
    assert output.shape == (2, 6)
    assert output.isfinite().all()


@pytest.mark.parametrize("name", [name for name in VARIANTS if VARIANTS[name].config])
def test_the_widths_are_those_of_table_1(name: str) -> None:
    with torch.device("meta"):
        model = googlenet.build(name)
        shapes = {
            block: getattr(model, f"inception{block}")(torch.empty(1, INPUTS[block], 7, 7)).shape
            for block in INCEPTION_WIDTHS
        }
    # docs/facts.md, Table 1's outputs.
    outputs = [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert shapes == {
        block: (1, channels, 7, 7)
        for block, channels in zip(INCEPTION_WIDTHS, outputs, strict=True)
    }


def kernels(branch: nn.Module) -> list[int]:
    return [part.kernel_size[0] for part in branch.modules() if isinstance(part, nn.Conv2d)]


@pytest.mark.parametrize(
    ("name", "kernels3x3", "kernels5x5"),
    [
        ("googlenet", [1, 3], [1, 5]),
        ("googlenet-3x3", [1, 3], [1, 3]),
        ("googlenet-double3x3", [1, 3], [1, 3, 3]),
        ("googlenet-naive", [3], [5]),
    ],
)
def test_the_kernels_of_the_branches(
    name: str, kernels3x3: list[int], kernels5x5: list[int]
) -> None:
    with torch.device("meta"):
        model = googlenet.build(name)
    assert isinstance(model, GoogLeNet)
    for block in INCEPTION_WIDTHS:
        inception = getattr(model, f"inception{block}")
        assert kernels(inception.branch1x1) == [1]
        assert kernels(inception.branch3x3) == kernels3x3
        assert kernels(inception.branch5x5) == kernels5x5
        assert kernels(inception.branch_pool) == [1]


def test_only_no_pool_lacks_the_pool_of_the_pooling_branch() -> None:
    with torch.device("meta"):
        pools = {
            name: [
                part.kernel_size
                for part in googlenet.build(name).get_submodule("inception3a").modules()
                if isinstance(part, nn.MaxPool2d)
            ]
            for name in ("googlenet", "googlenet-no-pool")
        }
    assert pools == {"googlenet": [3], "googlenet-no-pool": []}


def with_numbers(model: nn.Module) -> nn.Module:
    """Return a model in fp64 whose tensors have the same values in every version of the libraries.

    Convolutions and linear layers keep the scale of signals (He et al. 2015).
    """
    model.double()
    random = np.random.RandomState(0)  # its stream never changes
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = torch.from_numpy(random.uniform(-1, 1, tuple(tensor.shape)))
        if tensor.dim() > 1:
            values *= (6 / tensor[0].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            values = 1 + values / 2
        else:
            values /= 10
        tensor.copy_(values)
    return model


# Logits of one image. test_reference.py compares googlenet-3x3-pool2 with torchvision's network;
# the others differ from it in a few factors, which test_blocks.py computes by hand.
GOLDEN = {
    "googlenet": [-2.764903535, -7.413291582],
    "googlenet-3x3": [0.783505628, -3.361564089],
    "googlenet-pool2": [-0.743370252, -6.738921567],
    "googlenet-3x3-pool2": [0.55393812, -3.384384777],
    "googlenet-double3x3": [-2.720926785, -3.91448935],
    "googlenet-separable": [5.795913502, 6.031971875],
    "googlenet-naive": [-2.069543048, -2.887716717],
    "googlenet-no-pool": [0.17865396, -4.170482138],
    "googlenet-bias": [8.61163691, 5.697523007],
    "googlenet-caffe": [3.089130775, -1.387129808],
}


@pytest.mark.parametrize("name", [name for name in VARIANTS if VARIANTS[name].config])
def test_the_outputs_are_the_known_ones(name: str) -> None:
    model = with_numbers(googlenet.build(name, num_classes=2)).eval()
    image = torch.linspace(-30, 0, 3 * 64 * 64, dtype=torch.float64).sin().view(1, 3, 64, 64)
    with torch.inference_mode():
        output = model(image)
    expected = torch.tensor([GOLDEN[name]], dtype=torch.float64)
    torch.testing.assert_close(output, expected, rtol=1e-6, atol=1e-6)


def test_listing_the_variants_imports_no_torch() -> None:
    script = "import sys, googlenet.variants as v; print(len(v.VARIANTS), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    assert done.stdout.split() == [str(len(VARIANTS)), "False"]
