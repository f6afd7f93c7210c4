import contextlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import GoogLeNet_Weights

from bench import archs
from bench.archs.source import Arch
from bench.worker import cost
from tests.bench import cases, factories
from tests.counted import counted

TINY = "tests.bench.factories:tiny"

# docs/facts.md, "Counts".
FIGURES = {
    "torchvision": (6_624_904, 13_004_888, 1_498_376_192),
    "googlenet": (7_005_832, 13_385_816, 1_582_671_872),
    "googlenet-caffe": (6_998_552, 13_378_280, 1_582_671_872),
}
FVCORE_TOTAL = 1_504_878_688  # docs/facts.md: fvcore's total for torchvision's GoogLeNet


@pytest.mark.parametrize("name", FIGURES)
def test_counts_of_googlenet_are_exact(name: str) -> None:
    costs = counted(name)
    assert (costs.params, costs.params_with_aux, costs.macs) == FIGURES[name]
    assert costs.flops == 2 * FIGURES[name][2]
    assert (costs.arch, costs.image_size, costs.batch_size) == (name, 224, 1)


def test_fvcore_total_of_googlenet() -> None:
    assert counted("torchvision").fvcore_total == FVCORE_TOTAL


def test_macs_equal_those_that_torchvision_publishes() -> None:
    published = GoogLeNet_Weights.IMAGENET1K_V1.meta["_ops"]  # in 10⁹
    assert round(counted("torchvision").macs / 1e9, 3) == published


def test_pytorch_counts_two_flops_per_mac() -> None:
    model = archs.find("torchvision").build(False).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 224, 224))
    # docs/facts.md, "Counts".
    assert counter.get_total_flops() == counted("torchvision").flops == 2_996_752_384


@pytest.mark.parametrize("name", FIGURES)
def test_stages_are_the_direct_children_and_sum_to_the_total(name: str) -> None:
    costs = counted(name)
    children = [child for child, _ in archs.find(name).build(False).named_children()]
    assert [stage.name for stage in costs.stages] == children
    assert sum(stage.params for stage in costs.stages) == FIGURES[name][0]
    assert sum(stage.macs for stage in costs.stages) == FIGURES[name][2]
    assert sum(stage.flops for stage in costs.stages) == costs.flops
    assert sum(stage.activations for stage in costs.stages) == costs.activations
    assert sum(stage.fvcore_total or 0 for stage in costs.stages) == costs.fvcore_total
    assert sum(stage.weights for stage in costs.stages) == costs.weights


def test_weights_exclude_biases_and_batch_norm() -> None:
    # docs/facts.md: one bias in place of batch norm's two parameters, per channel.
    channels = 7_005_832 - 6_998_552
    for name, per_channel in (("googlenet", 2 * channels), ("googlenet-caffe", channels)):
        # The classifier has 1000 biases.
        assert counted(name).params - counted(name).weights == per_channel + 1000


# The tiny network: a 7×7 convolution with stride 4, padding 3 and 3 → 8 channels, then a classifier
# with 1000 classes.
def tiny_grid(image_size: int) -> int:
    return (image_size - 1) // 4 + 1


@pytest.mark.parametrize(("image_size", "batch_size"), [(224, 1), (224, 3), (65, 2), (1, 1)])
def test_counts_of_a_small_network_match_closed_formulas(image_size: int, batch_size: int) -> None:
    channels, classes = factories.CHANNELS, factories.CLASSES
    pixels = tiny_grid(image_size) ** 2
    costs = cost.count(archs.find(TINY), image_size=image_size, batch_size=batch_size)
    kernel, matrix = 7 * 7 * 3 * channels, channels * classes
    assert costs.params == costs.params_with_aux == kernel + channels + matrix + classes
    assert costs.weights == kernel + matrix
    assert costs.macs == batch_size * (pixels * kernel + matrix)
    assert costs.flops == 2 * costs.macs
    assert costs.activations == batch_size * (pixels * channels + classes)
    # fvcore adds the average pool, with one operation per input element.
    assert costs.fvcore_total == costs.macs + batch_size * pixels * channels
    assert [(stage.name, stage.macs) for stage in costs.stages if stage.macs] == [
        ("0", batch_size * pixels * kernel),
        ("4", batch_size * matrix),
    ]


def test_counts_of_a_stage_depend_on_image_size_and_batch_size() -> None:
    costs = cost.count(archs.find("googlenet"), image_size=97, batch_size=2)
    conv1 = costs.stages[0]
    side = (97 - 1) // 2 + 1
    assert conv1.name == "conv1"
    assert conv1.macs == 2 * 7 * 7 * 3 * 64 * side**2
    assert conv1.activations == 2 * 64 * side**2
    assert conv1.params == 7 * 7 * 3 * 64 + 2 * 64
    fc = costs.stages[-1]
    assert (fc.name, fc.macs) == ("fc", 2 * 1024 * 1000)
    assert costs.params == FIGURES["googlenet"][0]


class _Outside(nn.Module):
    """A network with a matrix product and a parameter outside its children."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 5)
        self.projection = nn.Parameter(torch.ones(5, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.fc(x) @ self.projection
        return product


def test_operations_outside_the_children_are_a_separate_stage() -> None:
    fc, outside = cost.stages(_Outside(), (torch.zeros(3, 4),))
    assert (fc.name, fc.macs, fc.params) == ("fc", 3 * 4 * 5, 4 * 5 + 5)
    assert (outside.name, outside.macs, outside.params) == ("(outside)", 3 * 5 * 6, 5 * 6)
    assert outside.activations == 3 * 6


class _Attention(nn.Module):
    """Attention with 5 queries and 11 keys and values; values have another width than keys."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = x[:, :, :5, :7], x[..., :7], x[..., :4]
        out: torch.Tensor = F.scaled_dot_product_attention(query, key, value)
        return out


def test_attention_is_two_products_for_each_head_of_each_image() -> None:
    (outside,) = cost.stages(_Attention(), (torch.zeros(2, 3, 11, 7),))
    assert outside.macs == 2 * 3 * (5 * 7 * 11 + 5 * 11 * 4)
    assert outside.fvcore_total == 0  # fvcore does not know attention
    assert outside.activations == 2 * 3 * (5 * 11 + 5 * 4)


def test_the_fast_path_of_attention_is_counted_as_its_matrix_products() -> None:
    places, channels = 5, 8
    layer = nn.TransformerEncoderLayer(channels, nhead=2, dim_feedforward=16, batch_first=True)
    costs = cost.stages(layer.eval(), (torch.zeros(3, places, channels),))
    attention = 4 * places * channels**2 + 2 * places**2 * channels
    assert sum(stage.macs for stage in costs) == 3 * (attention + 2 * places * channels * 16)
    assert torch.backends.mha.get_fastpath_enabled()


class _Product(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mm(x)


def test_a_product_of_two_matrices_has_macs() -> None:
    (outside,) = cost.stages(_Product(), (torch.zeros(4, 4),))
    assert (outside.macs, outside.activations) == (4**3, 4**2)


def test_an_operator_without_a_formula_is_named_and_not_counted() -> None:
    costs = cost.count(archs.find("tests.bench.factories:distances"), image_size=8)
    assert costs.uncounted == {"aten::_cdist_forward": 1}
    assert costs.macs == 3 * factories.CLASSES
    assert [(stage.name, stage.uncounted) for stage in costs.stages if stage.uncounted] == [
        ("(outside)", costs.uncounted)
    ]
    assert costs.per_image().uncounted == costs.uncounted


def case(network: type[nn.Module], batch_size: int = 1) -> cost.Cost:
    arch = archs.find(f"{cases.__name__}:{network.__name__}")
    return cost.count(arch, image_size=cases.IMAGE_SIZE, batch_size=batch_size)


@pytest.mark.parametrize(("has_aux", "built"), [(True, [False, True]), (False, [False])])
def test_a_network_without_auxiliary_heads_is_built_once(has_aux: bool, built: list[bool]) -> None:
    heads: list[bool] = []

    def build(aux: bool) -> nn.Module:
        heads.append(aux)
        return nn.Conv2d(3, 4 if aux else 2, kernel_size=1, bias=False)

    arch = Arch(name="of:mine", what="", source="", build=build, has_aux=has_aux)
    costs = cost.count(arch, image_size=8)
    assert heads == built
    assert (costs.params, costs.params_with_aux) == (6, 12 if has_aux else 6)


def test_shared_parameters_count_for_the_first_stage() -> None:
    costs = case(cases.TiedAcrossStages)
    tied = 16 * 16 * 9
    params = {stage.name: (stage.params, stage.weights) for stage in costs.stages}
    assert params == {"stem": (3 * 16 + 16, 3 * 16), "one": (tied, tied), "two": (0, 0)}
    assert costs.params == 3 * 16 + 16 + tied
    macs = {stage.name: stage.macs for stage in costs.stages}
    assert macs == {"stem": 48 * 32**2, "one": tied * 32**2, "two": tied * 32**2}


def test_a_shared_module_counts_for_its_caller() -> None:
    costs = case(cases.SharedChild)
    macs_per_call = 3 * 3 * 9 * 32**2
    assert [(stage.name, stage.macs) for stage in costs.stages] == [
        ("left", 2 * macs_per_call),
        ("right", macs_per_call),
    ]
    assert [stage.params for stage in costs.stages] == [costs.params, 0]
    # fvcore would count the shared module for the first stage that has it, not for its caller.
    assert [stage.fvcore_total for stage in costs.stages] == [None, None]
    assert costs.fvcore_total == 3 * macs_per_call


def test_a_data_dependent_network_is_counted_on_random_images() -> None:
    costs = case(cases.DataDependent, batch_size=2)
    assert costs.macs == 2 * cases.MACS[cases.DataDependent]
    assert costs.macs_on_other_images is None


class BranchesAtZero(nn.Module):
    """A network that takes the other branch for about every second image."""

    def __init__(self) -> None:
        super().__init__()
        self.light, self.heavy = nn.Linear(3, 4, bias=False), nn.Linear(3, 40, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3))
        branch = self.light if float(mean.detach().sum()) < 0 else self.heavy
        out: torch.Tensor = branch(mean)
        return out


def test_a_count_that_depends_on_the_images_is_reported() -> None:
    arch = archs.find(f"{__name__}:BranchesAtZero")
    all_costs = [cost.count(arch, image_size=8, seed=seed) for seed in range(20)]
    assert {costs.macs for costs in all_costs} == {3 * 4, 3 * 40}
    differing = [costs for costs in all_costs if costs.macs_on_other_images is not None]
    assert differing
    for costs in differing:
        assert {costs.macs, costs.macs_on_other_images} == {3 * 4, 3 * 40}
        assert costs.per_image().macs_on_other_images == costs.macs_on_other_images


def test_a_failure_of_fvcore_leaves_the_other_counts_complete() -> None:
    costs = case(cases.MatrixVector)
    assert (costs.macs, costs.params) == (cases.MACS[cases.MatrixVector], 32)
    assert costs.fvcore_total is None
    assert (costs.per_image().fvcore_remark or "").startswith("cannot trace it: ")


def test_a_network_that_writes_into_its_images_is_counted_on_copies() -> None:
    for network, macs in (
        (cases.WritesIntoImages, 16**2 * 16 * 27 + 16 * 10),
        (cases.NormalisesInPlace, 30**2 * 16 * 27 + 16 * 10),
    ):
        costs = case(network)
        assert (costs.macs, costs.macs_on_other_images) == (macs, None)


class _Grows(nn.Module):
    """A network with one more matrix product in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.calls = nn.Linear(3, 3, bias=False), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out = x.mean((2, 3))
        for _ in range(self.calls):
            out = self.fc(out)
        return out


def test_a_count_that_depends_on_earlier_calls_is_reported() -> None:
    costs = cost.count(archs.find(f"{__name__}:_Grows"), image_size=8)
    assert (costs.macs, costs.macs_in_the_next_call) == (2 * 9, 4 * 9)
    assert costs.macs_on_other_images is None
    assert costs.per_image().macs_in_the_next_call == 4 * 9


class _LongerFirstCall(_Grows):
    """A network that runs one more matrix product in its first call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = min(self.calls, 0) - 1 if self.calls <= 0 else 0
        out: torch.Tensor = self.fc(x.mean((2, 3)))
        return self.fc(out) if self.calls == -1 else out


def test_the_first_call_is_not_counted() -> None:
    costs = cost.count(archs.find(f"{__name__}:_LongerFirstCall"), image_size=8)
    assert (costs.macs, costs.macs_on_other_images, costs.macs_in_the_next_call) == (9, None, None)


class LeavesEarly(nn.Module):
    """A network that catches the exception of a child, on which fvcore's trace aborts."""

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise LookupError(self.conv(x))

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = self.Body(), nn.Conv2d(3, 5, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(LookupError):
            self.body(x)
        out: torch.Tensor = self.head(x)
        return out


def test_an_aborted_trace_leaves_the_other_counts_complete() -> None:
    costs = cost.count(archs.find(f"{__name__}:LeavesEarly"), image_size=8)
    assert {stage.name: stage.macs for stage in costs.stages} == {"body": 64 * 9, "head": 64 * 15}
    assert costs.fvcore_total is None
    assert "was killed by SIG" in costs.fvcore.remark


class CallsItself(nn.Module):
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, x: torch.Tensor, depth: int = 3) -> torch.Tensor:
            out: torch.Tensor = self.conv(x)
            return self(out, depth - 1) if depth > 1 else out

    def __init__(self) -> None:
        super().__init__()
        self.block = self.Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.block(x)
        return out


def test_a_recursive_stage_includes_all_of_its_calls() -> None:
    costs = cost.count(archs.find(f"{__name__}:CallsItself"), image_size=8)
    assert [(stage.name, stage.macs) for stage in costs.stages] == [("block", 3 * 64 * 9)]


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("name", ["scripted", "traced", "lazy", "half", "double", "exported"])
def test_networks_in_all_forms_are_counted(name: str) -> None:
    costs = cost.count(archs.find(f"tests.bench.odd:{name}"), image_size=32, batch_size=2)
    assert costs.macs > 0
    assert costs.uncounted == {}


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_operators_hidden_by_torchscript_are_reported_as_uncounted() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Flatten(), nn.Linear(8 * 36, 5))
    scripted = torch.jit.optimize_for_inference(torch.jit.script(network.eval()))
    (outside,) = cost.stages(scripted, (torch.randn(1, 3, 8, 8),))
    assert outside.macs == 8 * 36 * 5
    assert outside.uncounted == {"prim::mkldnn_convolution": 1}


class _Pooled(nn.Sequential):
    """A convolution between operators without multiplications."""

    def __init__(self) -> None:
        super().__init__(nn.MaxPool2d(2), nn.Conv2d(3, 4, kernel_size=1, bias=False), nn.Sigmoid())


def test_operators_without_multiplications_have_no_macs() -> None:
    pool, conv, sigmoid = cost.stages(_Pooled(), (torch.zeros(1, 3, 8, 8),))
    assert (pool.macs, conv.macs, sigmoid.macs) == (0, 3 * 4 * 4**2, 0)
    assert (pool.activations, conv.activations, sigmoid.activations) == (0, 4 * 4**2, 0)
