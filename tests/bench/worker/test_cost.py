import contextlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import GoogLeNet_Weights

from bench.cells import archs
from bench.worker import cost
from tests.bench import cases, factories
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
    assert sum(stage.fvcore_total or 0 for stage in found.stages) == found.fvcore_total
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
    assert outside.macs == 2 * 3 * (5 * 7 * 11 + 5 * 11 * 4)
    assert outside.fvcore_total == 0  # it does not know attention
    assert outside.activations == 2 * 3 * (5 * 11 + 5 * 4)


def test_attention_s_fast_path_is_counted_as_what_it_stands_for() -> None:
    places, channels = 5, 8
    layer = nn.TransformerEncoderLayer(channels, nhead=2, dim_feedforward=16, batch_first=True)
    found = cost.stages(layer.eval(), torch.zeros(3, places, channels))
    attention = 4 * places * channels**2 + 2 * places**2 * channels
    assert sum(stage.macs for stage in found) == 3 * (attention + 2 * places * channels * 16)
    assert torch.backends.mha.get_fastpath_enabled()


class _Product(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mm(x)


def test_a_product_of_two_matrices_has_macs() -> None:
    (outside,) = cost.stages(_Product(), torch.zeros(4, 4))
    assert (outside.macs, outside.activations) == (4**3, 4**2)


def test_an_operator_without_a_formula_makes_a_lower_bound_that_names_it() -> None:
    found = cost.count(archs.find("tests.bench.factories:distances"), image_size=8)
    assert found.uncounted == {"aten::_cdist_forward": 1}
    assert found.macs == 3 * factories.CLASSES
    assert [(stage.name, stage.uncounted) for stage in found.stages if stage.uncounted] == [
        ("(outside)", found.uncounted)
    ]
    assert found.per_image()["uncounted"] == found.uncounted


def case(network: type[nn.Module], batch_size: int = 1) -> cost.Cost:
    arch = archs.find(f"{cases.__name__}:{network.__name__}")
    return cost.count(arch, image_size=cases.IMAGE_SIZE, batch_size=batch_size)


def test_parameters_that_stages_share_are_the_first_ones() -> None:
    found = case(cases.TiedAcrossStages)
    tied = 16 * 16 * 9
    params = {stage.name: (stage.params, stage.weights) for stage in found.stages}
    assert params == {"stem": (3 * 16 + 16, 3 * 16), "one": (tied, tied), "two": (0, 0)}
    assert found.params == 3 * 16 + 16 + tied
    macs = {stage.name: stage.macs for stage in found.stages}
    assert macs == {"stem": 48 * 32**2, "one": tied * 32**2, "two": tied * 32**2}


def test_a_module_that_stages_share_counts_for_its_caller() -> None:
    found = case(cases.SharedChild)
    one = 3 * 3 * 9 * 32**2
    assert [(stage.name, stage.macs) for stage in found.stages] == [
        ("left", 2 * one),
        ("right", one),
    ]
    assert [stage.params for stage in found.stages] == [found.params, 0]
    # fvcore counts such a module for the first stage that has it, not for its caller.
    assert [stage.fvcore_total for stage in found.stages] == [None, None]
    assert found.fvcore_total == 3 * one


def test_a_network_that_looks_into_its_images_is_counted_on_random_ones() -> None:
    found = case(cases.DataDependent, batch_size=2)
    assert found.macs == 2 * cases.MACS[cases.DataDependent]
    assert found.macs_on_other_images is None


class BranchesAtZero(nn.Module):
    """It takes another branch for about every second image."""

    def __init__(self) -> None:
        super().__init__()
        self.light, self.heavy = nn.Linear(3, 4, bias=False), nn.Linear(3, 40, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3))
        branch = self.light if float(mean.detach().sum()) < 0 else self.heavy
        out: torch.Tensor = branch(mean)
        return out


def test_a_count_that_depends_on_the_images_says_so() -> None:
    arch = archs.find(f"{__name__}:BranchesAtZero")
    found = [cost.count(arch, image_size=8, seed=seed) for seed in range(20)]
    assert {one.macs for one in found} == {3 * 4, 3 * 40}
    differing = [one for one in found if one.macs_on_other_images is not None]
    assert differing
    for one in differing:
        assert {one.macs, one.macs_on_other_images} == {3 * 4, 3 * 40}
        assert one.per_image()["macs_on_other_images"] == one.macs_on_other_images


def test_what_fvcore_lacks_leaves_no_count_blank() -> None:
    found = case(cases.MatrixVector)
    assert (found.macs, found.params) == (cases.MACS[cases.MatrixVector], 32)
    assert found.fvcore_total is None
    assert found.per_image()["fvcore_remark"].startswith("cannot trace it: ")


def test_a_network_that_writes_into_its_images_is_counted_on_the_images() -> None:
    for network, macs in (
        (cases.WritesIntoImages, 16**2 * 16 * 27 + 16 * 10),
        (cases.NormalisesInPlace, 30**2 * 16 * 27 + 16 * 10),
    ):
        found = case(network)
        assert (found.macs, found.macs_on_other_images) == (macs, None)


class _Grows(nn.Module):
    """Each call is one product longer than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.calls = nn.Linear(3, 3, bias=False), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out = x.mean((2, 3))
        for _ in range(self.calls):
            out = self.fc(out)
        return out


def test_a_count_that_depends_on_earlier_calls_says_so() -> None:
    found = cost.count(archs.find(f"{__name__}:_Grows"), image_size=8)
    assert (found.macs, found.macs_in_the_next_call) == (2 * 9, 4 * 9)
    assert found.macs_on_other_images is None
    assert found.per_image()["macs_in_the_next_call"] == 4 * 9


class _MadeOnce(_Grows):
    """The first call makes what all later ones use."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = min(self.calls, 0) - 1 if self.calls <= 0 else 0
        out: torch.Tensor = self.fc(x.mean((2, 3)))
        return self.fc(out) if self.calls == -1 else out


def test_the_first_call_is_not_counted() -> None:
    found = cost.count(archs.find(f"{__name__}:_MadeOnce"), image_size=8)
    assert (found.macs, found.macs_on_other_images, found.macs_in_the_next_call) == (9, None, None)


class LeavesEarly(nn.Module):
    """A child raises, and the network goes on without it; fvcore's trace of it aborts."""

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


def test_a_trace_that_aborts_leaves_no_count_blank() -> None:
    found = cost.count(archs.find(f"{__name__}:LeavesEarly"), image_size=8)
    assert {stage.name: stage.macs for stage in found.stages} == {"body": 64 * 9, "head": 64 * 15}
    assert found.fvcore_total is None
    assert "was killed by SIG" in found.fvcore.remark


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


def test_a_stage_that_calls_itself_has_all_of_it() -> None:
    found = cost.count(archs.find(f"{__name__}:CallsItself"), image_size=8)
    assert [(stage.name, stage.macs) for stage in found.stages] == [("block", 3 * 64 * 9)]


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("name", ["scripted", "traced", "lazy", "half", "double", "exported"])
def test_whatever_form_a_network_has_it_is_counted(name: str) -> None:
    found = cost.count(archs.find(f"tests.bench.odd:{name}"), image_size=32, batch_size=2)
    assert found.macs > 0
    assert found.uncounted == {}


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_what_torchscript_hides_makes_a_lower_bound() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Flatten(), nn.Linear(8 * 36, 5))
    scripted = torch.jit.optimize_for_inference(torch.jit.script(network.eval()))
    (outside,) = cost.stages(scripted, torch.randn(1, 3, 8, 8))
    assert outside.macs == 8 * 36 * 5
    assert outside.uncounted == {"prim::mkldnn_convolution": 1}


class _Pooled(nn.Sequential):
    """A convolution between operators that multiply nothing."""

    def __init__(self) -> None:
        super().__init__(nn.MaxPool2d(2), nn.Conv2d(3, 4, kernel_size=1, bias=False), nn.Sigmoid())


def test_operators_that_multiply_nothing_cost_nothing() -> None:
    pool, conv, sigmoid = cost.stages(_Pooled(), torch.zeros(1, 3, 8, 8))
    assert (pool.macs, conv.macs, sigmoid.macs) == (0, 3 * 4 * 4**2, 0)
    assert (pool.activations, conv.activations, sigmoid.activations) == (0, 4 * 4**2, 0)
