from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from bench.cells.inputs import _ByName
from bench.errors import RequestError
from bench.rewrites import REWRITES
from tests.bench.rewrites import oracle


class Used(nn.Module):
    """A convolution and a batch norm that a function runs."""

    def __init__(self, run: Callable[["Used", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, kernel_size=3, padding=1, bias=False)
        self.other = nn.Conv2d(3, 3, kernel_size=1)
        self.bn = nn.BatchNorm2d(3)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def output_used_twice(net: Used, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.bn(y) + y  # type: ignore[no-any-return]


def convolution_used_twice(net: Used, x: Tensor) -> Tensor:
    return net.bn(net.conv(net.conv(x)))  # type: ignore[no-any-return]


def norm_used_twice(net: Used, x: Tensor) -> Tensor:
    return net.bn(net.other(net.bn(net.conv(x))))  # type: ignore[no-any-return]


def norm_first(net: Used, x: Tensor) -> Tensor:
    return net.conv(net.bn(x))  # type: ignore[no-any-return]


def activation_between(net: Used, x: Tensor) -> Tensor:
    return net.bn(net.conv(x).relu())  # type: ignore[no-any-return]


def weight_used_elsewhere(net: Used, x: Tensor) -> Tensor:
    return net.bn(net.conv(x)) * net.conv.weight.sum()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "run",
    [
        output_used_twice,
        convolution_used_twice,
        norm_used_twice,
        norm_first,
        activation_between,
        weight_used_elsewhere,
    ],
)
def test_a_batch_norm_is_kept_unless_only_it_uses_the_layer(
    run: Callable[[Used, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    model = oracle.randomised(Used(run))
    assert oracle.check(model, torch.randn(2, 3, 8, 8), "fold") is model


def test_a_weight_of_two_layers_is_not_folded() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    model[2].weight = model[0].weight
    oracle.randomised(model)
    assert oracle.check(model, torch.randn(2, 3, 8, 8), "fold") is model


class TwoNames(nn.Module):
    """Modules that are registered under two names, and run under the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.second = nn.ModuleList([*self.first])

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self.second
        return norm(conv(x))  # type: ignore[no-any-return]


FOLDED = {
    "1-D": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), (2, 4, 8)),
    "3-D": (lambda: nn.Sequential(nn.Conv3d(2, 3, 3), nn.BatchNorm3d(3)), (2, 2, 4, 4, 4)),
    "padding": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.BatchNorm2d(4)),
        (2, 3, 8, 8),
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), nn.BatchNorm2d(4)),
        (2, 3, 8, 8),
    ),
    "grouped": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8)),
        (2, 4, 8, 8),
    ),
    "linear": (lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), (3, 4)),
    "not affine": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False)),
        (2, 3, 8, 8),
    ),
    "two names": (TwoNames, (2, 3, 8, 8)),
    "by name": (
        lambda: _ByName(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), ["input"]),
        (2, 3, 8, 8),
    ),
}
KEPT = {
    # The channels of this batch norm are the second dimension, not the features.
    "sequences": (lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), (3, 6, 4)),
    "transposed and grouped": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)),
        (2, 4, 8, 8),
    ),
    "statistics of the batch": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)),
        (2, 3, 8, 8),
    ),
    "linear, not affine": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False)),
        (3, 4),
    ),
    "no batch norm": (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)), (2, 3, 8, 8)),
}


@pytest.mark.parametrize(("build", "shape"), FOLDED.values(), ids=FOLDED)
def test_each_kind_of_layer_is_folded(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    folded = oracle.check(oracle.randomised(build()), torch.randn(shape), "fold")
    assert oracle.batch_norms(folded) == 0


@pytest.mark.parametrize(("build", "shape"), KEPT.values(), ids=KEPT)
def test_a_network_without_a_batch_norm_to_fold_is_returned_as_it_is(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    model = oracle.randomised(build())
    assert oracle.check(model, torch.randn(shape), "fold") is model


# densenet121: each of the 58 dense layers has one convolution before a batch norm, and so has the
# stem; the other 62 batch norms come before a ReLU that follows a concatenation or a pool.
NETWORKS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=10), 64, 0),
    "mobilenet_v3_small": (lambda: torchvision.models.mobilenet_v3_small(num_classes=10), 64, 0),
    "densenet121": (lambda: torchvision.models.densenet121(num_classes=10), 64, 62),
    "shufflenet": (lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=10), 64, 0),
    "efficientnet_b0": (lambda: torchvision.models.efficientnet_b0(num_classes=10), 64, 0),
    "vit_b_16": (lambda: torchvision.models.vit_b_16(image_size=32, num_classes=10), 32, 0),
    "timm": (lambda: timm.create_model("mobilenetv3_small_050", num_classes=10), 64, 0),
}


# ``nox -s slow`` has these.
LARGE = {"densenet121", "efficientnet_b0", "vit_b_16"}


@pytest.mark.parametrize(
    ("build", "size", "kept"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.slow if name in LARGE else ())
        for name, case in NETWORKS.items()
    ],
)
def test_other_networks_answer_as_before(
    build: Callable[[], nn.Module], size: int, kept: int
) -> None:
    torch.manual_seed(0)
    model, images = oracle.randomised(build()), torch.randn(2, 3, size, size)
    folded = oracle.check(model, images, "fold")
    assert oracle.batch_norms(folded) == kept
    oracle.check(folded, images, "packed")


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if x.sum() > 0 else self.body(-x)  # type: ignore[no-any-return]


def test_one_batch_norm_is_folded_and_another_kept() -> None:
    torch.manual_seed(0)
    convolution = [nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()]
    model = oracle.randomised(nn.Sequential(*convolution, nn.BatchNorm2d(4)))
    folded = oracle.check(model, torch.randn(2, 3, 8, 8), "fold")
    assert oracle.batch_norms(folded) == 1


@pytest.mark.parametrize("name", ["fold", "packed"])
def test_a_network_that_cannot_be_captured_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(
        RequestError,
        match=rf"^the rewrite {name} needs torch\.export, which cannot capture this network \("
        rf".+\): choose a mode without {name}$",
    ):
        REWRITES[name].apply(Branching().eval(), (torch.randn(2, 3, 8, 8),))
