import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench import archs
from bench.archs.source import Arch, Inputs
from bench.cells import inputs
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.cells.inputs import Drawing
from bench.errors import RequestError
from bench.worker import network
from tests.bench import tiny

IMAGE_SIZE = 16


def images(seed: int) -> Tensor:
    torch.manual_seed(seed)
    return inputs.random_images(2, IMAGE_SIZE)


def draw(batch_size: int) -> Inputs:
    return (inputs.random_images(batch_size, IMAGE_SIZE),)


def norm_of(model: nn.Module) -> nn.BatchNorm2d:
    (norm,) = (part for part in model.modules() if isinstance(part, nn.BatchNorm2d))
    return norm


@pytest.mark.parametrize("batch_size", [1, 2])
def test_calibration_sets_batch_norm_statistics_and_restores_momentum(batch_size: int) -> None:
    torch.manual_seed(0)
    model = tiny.net()
    norm = norm_of(model)
    norm.momentum = 0.25
    network.calibrate(model, draw, draw(batch_size))
    assert norm.momentum == 0.25
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.abs().min() > 0
    assert (norm.running_var - 1).abs().min() > 1e-3
    assert norm.num_batches_tracked == 1


def test_calibration_uses_the_statistics_of_the_whole_batch() -> None:
    """The batch used for calibration, normalised with its statistics, has mean 0 and variance 1."""
    torch.manual_seed(0)
    model = tiny.net()
    example = draw(2)
    state = torch.get_rng_state()
    network.calibrate(model, draw, example)
    torch.set_rng_state(state)
    batch = inputs.random_images(2, IMAGE_SIZE)
    assert isinstance(model, nn.Sequential)
    with torch.no_grad():
        out = model.eval()[:2](batch)
    assert out.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert out.var(dim=(0, 2, 3)).sub(1).abs().max() < 1e-2


def test_a_calibrated_deep_network_hardly_amplifies_a_rounding_error() -> None:
    """Otherwise correct answers in another mode or dtype would fail their check.

    With images of more different contrast and brightness, this answer changed by 0.02.
    """
    torch.manual_seed(2)
    arch = archs.find("torchvision:efficientnet_b2")
    draw = Drawing(arch)
    model = network.build(arch, aux=False, draw=draw)
    (image,) = draw(1)
    network.calibrate(model, draw, (image,))
    with torch.inference_mode():
        answer, changed = model(image), model(image * (1 + 1e-6 * torch.randn_like(image)))
    assert 0 < (changed - answer).norm() / answer.norm() < DTYPES["fp32"].error_bound / 2


def test_a_network_without_batch_norm_needs_no_calibration() -> None:
    model = nn.Flatten().eval()
    network.calibrate(model, draw, (images(0),))
    assert not model.training


def test_only_matrices_of_zeros_are_redrawn() -> None:
    torch.manual_seed(0)
    head = nn.Linear(5, 6)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(4), nn.Linear(4, 5), head)
    before = {name: value.clone() for name, value in model.named_parameters()}
    network.draw_zeros(model)
    changed = [
        name for name, value in model.named_parameters() if not torch.equal(value, before[name])
    ]
    assert changed == ["3.weight"]
    assert head.weight.count_nonzero() == head.weight.numel()
    assert head.weight.abs().max() <= 1 / math.sqrt(5)  # the range that nn.Linear uses


def test_draw_zeros_skips_lazy_parameters() -> None:
    model = nn.LazyConv2d(4, 3)
    network.draw_zeros(model)
    assert model(images(0)).shape[1] == 4


def arch_of(model: nn.Module) -> Arch:
    return Arch(name="of:mine", what="", source="", build=lambda _aux: model)


def built(model: nn.Module) -> nn.Module:
    return network.build(arch_of(model), aux=False, draw=draw)


def compiled_in_place() -> nn.Module:
    model = nn.Conv2d(3, 4, 3)
    model.compile()
    return model


def with_a_compiled_forward() -> nn.Module:
    model = nn.Conv2d(3, 4, 3)
    model.forward = torch.compile(model.forward)  # type: ignore[method-assign]
    return model


def wrapped() -> nn.Module:
    return torch.compile(nn.Conv2d(3, 4, 3))  # type: ignore[return-value]


@pytest.mark.parametrize("make", [compiled_in_place, with_a_compiled_forward, wrapped])
def test_a_compiled_network_is_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(
        RequestError, match=r"of:mine is already compiled.* choose the mode compile"
    ):
        built(make())
    with pytest.raises(RequestError, match=r"of:mine: its part 1 is already compiled"):
        built(nn.Sequential(nn.ReLU(), make()))


def test_a_forward_with_disabled_compilation_is_accepted() -> None:
    model = nn.Conv2d(3, 4, 3)
    model.forward = torch.compiler.disable(model.forward)  # type: ignore[method-assign]
    assert built(model) is model


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_weights_are_built_in_fp32(dtype: torch.dtype) -> None:
    model = built(tiny.net().to(dtype))
    floating = [t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    assert {tensor.dtype for tensor in floating} == {torch.float32}
    assert torch.int64 in {buffer.dtype for buffer in model.buffers()}


def test_complex_weights_stay_complex() -> None:
    model = nn.Module()
    model.register_parameter("w", nn.Parameter(torch.ones(2, dtype=torch.complex128) * 1j))
    (weight,) = built(model).parameters()
    assert weight.dtype is torch.complex64
    assert torch.equal(weight.detach(), torch.full((2,), 1j))


def test_tied_weights_stay_tied() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    built(nn.Sequential(first, second).half())
    assert first.weight is second.weight


def lazy() -> nn.Sequential:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))


def test_lazy_modules_take_their_shapes_from_an_image() -> None:
    model = built(lazy())
    shapes = [tuple(parameter.shape) for parameter in model.parameters()]
    assert shapes == [(4, 3, 3, 3), (4,), (4,), (4,), (10, 4 * (IMAGE_SIZE - 2) ** 2), (10,)]
    assert model.training
    assert norm_of(model).num_batches_tracked == 0


def test_the_image_for_lazy_modules_does_not_advance_the_random_state() -> None:
    """Random numbers drawn later equal those after a network that has no lazy modules."""
    torch.manual_seed(0)
    built(lazy())
    after_lazy = torch.rand(1)
    torch.manual_seed(0)
    nn.Conv2d(3, 4, 3)
    nn.Linear(4 * (IMAGE_SIZE - 2) ** 2, 10)
    assert torch.equal(torch.rand(1), after_lazy)


class Unreached(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3))
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self[0](x)
        return out


def test_an_unreached_lazy_module_is_refused() -> None:
    with pytest.raises(RequestError, match=r"of:mine has lazy modules .*: head; "):
        built(Unreached())


CELL = Cell(arch="of:mine", mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu")


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    ("mode", "task", "dtype", "frozen", "says"),
    [
        ("eager", "infer", "bf16", False, None),
        ("channels_last", "train", "fp32", False, None),
        ("compile", "infer", "fp32", False, "TorchScript .*, which torch.compile does not compile"),
        ("compile+channels_last", "train", "fp32", False, "torch.compile does not compile"),
        ("eager", "infer", "fp32", True, None),
        ("eager", "infer", "bf16", True, "they cannot be converted to a dtype or trained"),
        ("eager", "train", "fp32", True, "they cannot be converted to a dtype or trained"),
    ],
)
def test_torchscript_is_accepted_only_in_cells_that_can_run_it(
    mode: str, task: str, dtype: str, frozen: bool, says: str | None
) -> None:
    model = torch.jit.script(tiny.net().eval())
    scripted = built(torch.jit.freeze(model) if frozen else model)
    cell = replace(CELL, mode=mode, task=task, dtype=dtype)
    if says is None:
        network.check_mode(scripted, cell)
        return
    with pytest.raises(RequestError, match=says):
        network.check_mode(scripted, cell)
    network.check_mode(tiny.net(), cell)


def test_a_state_is_restored_in_the_same_tensors() -> None:
    model = tiny.net()
    weight = next(model.parameters())
    before = weight.detach().clone()
    saved = network.state(model)
    with torch.no_grad():
        weight.add_(1)
        norm_of(model)(torch.randn(2, tiny.CHANNELS, 4, 4))
    network.restore(model, saved)
    assert next(model.parameters()) is weight
    assert torch.equal(weight, before)
    assert norm_of(model).num_batches_tracked == 0


class WithBuffer(nn.Module):
    """A network with one buffer, which a step may replace."""

    def __init__(self, buffer: Tensor) -> None:
        super().__init__()
        self.register_buffer("constant", buffer)


@pytest.mark.parametrize("value", [0.0, math.nan, 1, True, 1j])
def test_an_unchanged_expanded_buffer_is_accepted(value: complex) -> None:
    model = WithBuffer(torch.tensor([value]).expand(5))
    network.restore(model, network.state(model))
    assert model.get_buffer("constant").stride() == (0,)


@pytest.mark.parametrize("buffer", [torch.ones(1).expand(5), torch.zeros(3)])
def test_a_changed_read_only_buffer_is_refused(buffer: Tensor) -> None:
    model = WithBuffer(torch.zeros(1).expand(5))
    saved = network.state(model)
    model.constant = buffer
    with pytest.raises(RequestError, match=r"changes constant, .* cannot be written back"):
        network.restore(model, saved)


class TakesOne(nn.Module):
    """A network for exactly one image, into which it writes; raises after its first norm."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.net = nn.BatchNorm2d(3), tiny.net()

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(self.bn(x).reshape(1, 3, IMAGE_SIZE, IMAGE_SIZE))
        x.zero_()
        return out  # type: ignore[no-any-return]


def test_a_network_for_one_image_is_calibrated_on_its_own_images() -> None:
    torch.manual_seed(0)
    model = TakesOne()
    image = inputs.random_images(1, IMAGE_SIZE)
    before = image.clone()
    network.calibrate(model, draw, (image,))
    assert torch.equal(image, before)
    assert model.bn.running_mean is not None
    torch.testing.assert_close(model.bn.running_mean, image.mean((0, 2, 3)))
    assert model.bn.momentum == 0.1
    assert not model.bn.training


def test_norms_keep_their_initial_statistics_if_calibration_fails() -> None:
    model = TakesOne()
    network.calibrate(model, draw, (images(0),))
    assert model.bn.running_mean is not None
    assert model.bn.running_var is not None
    assert torch.equal(model.bn.running_mean, torch.zeros(3))
    assert torch.equal(model.bn.running_var, torch.ones(3))
    assert model.bn.momentum == 0.1
    assert not any(part.training for part in model.modules())


def test_calibration_keeps_the_network_in_eval() -> None:
    modes: list[tuple[bool, bool]] = []
    model = tiny.net()
    norm = norm_of(model)
    model.register_forward_pre_hook(lambda *_: modes.append((model.training, norm.training)))
    network.calibrate(model, draw, draw(1))
    assert modes == [(False, True)]
    assert not norm.training
