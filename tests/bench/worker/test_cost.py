import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import GoogLeNet_Weights, get_model_weights

from bench.cells import archs
from bench.worker import cost, operators
from tests.bench import factories
from tests.counted import counted

TINY = "tests.bench.factories:tiny"

# FACTS.md, "Counts, 224², 1000 classes".
FIGURES = {
    "torchvision": (6_624_904, 13_004_888, 1_498_376_192),
    "googlenet": (7_005_832, 13_385_816, 1_582_671_872),
    "googlenet-caffe": (6_998_552, 13_378_280, 1_582_671_872),
}
FVCORE_TOTAL = 1_504_878_688  # FACTS.md: fvcore's own for torchvision's


@pytest.mark.parametrize("name", FIGURES)
def test_exact_counts(name: str) -> None:
    found = counted(name)
    assert (found.params, found.params_with_aux, found.macs) == FIGURES[name]
    assert found.flops == 2 * FIGURES[name][2]
    assert (found.arch, found.image_size, found.batch_size) == (name, 224, 1)


def test_fvcores_own_total() -> None:
    assert counted("torchvision").fvcore_total == FVCORE_TOTAL


def test_torchvision_publishes_the_same_macs() -> None:
    published = GoogLeNet_Weights.IMAGENET1K_V1.meta["_ops"]  # in 10⁹
    assert round(counted("torchvision").macs / 1e9, 3) == published


# With attention in one operator, and with products of its own. Sizes are the weights'.
@pytest.mark.parametrize(("name", "image_size"), [("vit_b_32", 224), ("swin_v2_t", 256)])
def test_attention_has_the_macs_that_torchvision_publishes(name: str, image_size: int) -> None:
    meta = get_model_weights(name)["DEFAULT"].value.meta
    found = cost.count(archs.find(f"torchvision:{name}"), image_size=image_size)
    assert found.params == meta["num_params"]
    assert round(found.macs / 1e9, 3) == meta["_ops"]


def test_torchs_own_counter_says_two_per_mac() -> None:
    model = archs.find("torchvision").build(False).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 224, 224))
    assert counter.get_total_flops() == counted("torchvision").flops == 2_996_752_384  # FACTS.md


@pytest.mark.parametrize("name", FIGURES)
def test_stages_are_the_direct_children_and_sum_to_the_total(name: str) -> None:
    found = counted(name)
    children = [child for child, _ in archs.find(name).build(False).named_children()]
    assert [stage.name for stage in found.stages] == children
    assert sum(stage.params for stage in found.stages) == FIGURES[name][0]
    assert sum(stage.macs for stage in found.stages) == FIGURES[name][2]
    assert sum(stage.flops for stage in found.stages) == found.flops
    assert sum(stage.activations for stage in found.stages) == found.activations
    assert sum(stage.fvcore_total for stage in found.stages) == found.fvcore_total
    assert sum(stage.weights for stage in found.stages) == found.weights


def test_weights_leave_out_biases_and_batch_norm() -> None:
    channels = 7_005_832 - 6_998_552  # FACTS.md: one bias instead of batch norm's two, per channel
    for name, others in (("googlenet", 2 * channels), ("googlenet-caffe", channels)):
        assert counted(name).params - counted(name).weights == others + 1000  # the classifier's


# 7×7 with stride 4 and padding 3, 3 → 8 channels, and then a classifier of 1000.
def tiny_grid(image_size: int) -> int:
    return (image_size - 1) // 4 + 1


@pytest.mark.parametrize(("image_size", "batch_size"), [(224, 1), (224, 3), (65, 2), (1, 1)])
def test_closed_formulas_of_a_small_network(image_size: int, batch_size: int) -> None:
    channels, classes = factories.CHANNELS, factories.CLASSES
    pixels = tiny_grid(image_size) ** 2
    found = cost.count(archs.find(TINY), image_size=image_size, batch_size=batch_size)
    kernel, matrix = 7 * 7 * 3 * channels, channels * classes
    assert found.params == found.params_with_aux == kernel + channels + matrix + classes
    assert found.weights == kernel + matrix
    assert found.macs == batch_size * (pixels * kernel + matrix)
    assert found.flops == 2 * found.macs
    assert found.activations == batch_size * (pixels * channels + classes)
    # fvcore adds the average pool, one operation for each element that goes in.
    assert found.fvcore_total == found.macs + batch_size * pixels * channels
    assert [(stage.name, stage.macs) for stage in found.stages if stage.macs] == [
        ("0", batch_size * pixels * kernel),
        ("4", batch_size * matrix),
    ]


def test_a_stage_follows_image_size_and_batch_size() -> None:
    found = cost.count(archs.find("googlenet"), image_size=97, batch_size=2)
    conv1 = found.stages[0]
    side = (97 - 1) // 2 + 1
    assert conv1.name == "conv1"
    assert conv1.macs == 2 * 7 * 7 * 3 * 64 * side**2
    assert conv1.activations == 2 * 64 * side**2
    assert conv1.params == 7 * 7 * 3 * 64 + 2 * 64
    fc = found.stages[-1]
    assert (fc.name, fc.macs) == ("fc", 2 * 1024 * 1000)
    assert found.params == FIGURES["googlenet"][0]


class _Outside(nn.Module):
    """A matrix product and a parameter that belong to no child."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 5)
        self.projection = nn.Parameter(torch.ones(5, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.fc(x) @ self.projection
        return product


def test_what_runs_outside_the_children_is_a_stage_of_its_own() -> None:
    fc, outside = cost.stages(_Outside(), torch.zeros(3, 4))
    assert (fc.name, fc.macs, fc.params) == ("fc", 3 * 4 * 5, 4 * 5 + 5)
    assert (outside.name, outside.macs, outside.params) == ("(outside)", 3 * 5 * 6, 5 * 6)
    assert outside.activations == 3 * 6


class _Attention(nn.Module):
    """Queries of 5 places, keys of 11, and values; each with channels of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = x[:, :, :5, :7], x[..., :7], x[..., :4]
        found: torch.Tensor = F.scaled_dot_product_attention(query, key, value)
        return found


def test_attention_is_two_products_for_each_head_of_each_image() -> None:
    (outside,) = cost.stages(_Attention(), torch.zeros(2, 3, 11, 7))
    assert outside.macs == outside.fvcore_total == 2 * 3 * (5 * 7 * 11 + 5 * 11 * 4)
    assert outside.activations == 2 * 3 * (5 * 11 + 5 * 4)


def test_attention_s_fast_path_is_counted_as_what_it_stands_for() -> None:
    places, channels = 5, 8
    layer = nn.TransformerEncoderLayer(channels, nhead=2, dim_feedforward=16, batch_first=True)
    macs = cost.macs_by_module(layer.eval(), torch.zeros(3, places, channels))
    attention = 4 * places * channels**2 + 2 * places**2 * channels
    assert macs[""] == 3 * (attention + 2 * places * channels * 16)
    assert torch.backends.mha.get_fastpath_enabled()


class _Product(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mm(x)


def test_a_product_of_two_matrices_has_macs() -> None:
    (outside,) = cost.stages(_Product(), torch.zeros(4, 4))
    assert (outside.macs, outside.activations) == (4**3, 4**2)


class _Fourier(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum: torch.Tensor = torch.fft.fft2(x)
        return spectrum.real


def test_an_unknown_operator_is_an_error_that_names_it() -> None:
    with pytest.raises(cost.UncountedOperatorError, match=r"cannot count aten::fft_fft2.*_Fourier"):
        cost.stages(_Fourier(), torch.zeros(1, 3, 8, 8))
    with pytest.raises(cost.UncountedOperatorError, match="aten::cdist"):
        cost.count(archs.find("tests.bench.factories:distances"), image_size=8)


def test_ignored_operators_have_reasons() -> None:
    assert operators.IGNORED
    for operator, reason in operators.IGNORED.items():
        assert operator.startswith("aten::")
        assert len(reason.split()) > 1, operator


class _Pooled(nn.Sequential):
    """A convolution between operators that are ignored for a reason."""

    def __init__(self) -> None:
        super().__init__(nn.MaxPool2d(2), nn.Conv2d(3, 4, kernel_size=1, bias=False), nn.Sigmoid())


def test_ignored_operators_cost_nothing() -> None:
    pool, conv, sigmoid = cost.stages(_Pooled(), torch.zeros(1, 3, 8, 8))
    assert (pool.macs, conv.macs, sigmoid.macs) == (0, 3 * 4 * 4**2, 0)
    assert (pool.activations, conv.activations, sigmoid.activations) == (0, 4 * 4**2, 0)
