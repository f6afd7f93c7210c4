from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import googlenet
from googlenet.config import GoogLeNetConfig
from googlenet.heads import AuxHead, GoogLeNetOutput
from googlenet.model import GoogLeNet

CLASSES = 5
SMALL = GoogLeNetConfig(num_classes=CLASSES)
# docs/facts.md, "Auxiliary heads": 14×14 pixels at 224×224, 4×4 after pooling.
AUX_INPUT = (2, 512, 14, 14)


@pytest.fixture(scope="module")
def with_heads() -> GoogLeNet:
    torch.manual_seed(0)
    return GoogLeNet(SMALL)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def heads(model: GoogLeNet) -> tuple[AuxHead, AuxHead]:
    assert model.aux1 is not None
    assert model.aux2 is not None
    return model.aux1, model.aux2


def test_convolutions_are_initialised_as_in_he_et_al() -> None:
    torch.manual_seed(0)
    model = GoogLeNet(replace(SMALL, aux_pool=None, conv_bias=True))
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 57
    for convolution in convolutions:
        weight, bias = convolution.weight, convolution.bias
        scaled = weight * (weight[0].numel() / 2) ** 0.5
        # The standard error of a standard deviation of n values is 1 / √(2n) of it.
        assert abs(scaled.std() - 1) < 5 / (2 * weight.numel()) ** 0.5
        assert abs(scaled.mean()) < 5 / weight.numel() ** 0.5
        assert bias is not None
        assert not bias.any()


def test_eval_returns_the_logits(with_heads: GoogLeNet, images: Tensor) -> None:
    with torch.inference_mode():
        output = with_heads.eval()(images)
    assert type(output) is Tensor
    assert output.shape == (2, CLASSES)


def test_training_with_heads_returns_three_outputs(with_heads: GoogLeNet, images: Tensor) -> None:
    with torch.no_grad():
        output = with_heads.train()(images)
    assert isinstance(output, GoogLeNetOutput)
    assert output._fields == ("logits", "aux1", "aux2")
    assert [part.shape for part in output] == [(2, CLASSES)] * 3


def test_training_without_heads_returns_the_logits(images: Tensor) -> None:
    model = GoogLeNet(replace(SMALL, aux_pool=None)).train()
    with torch.no_grad():
        output = model(images)
    assert type(output) is Tensor
    assert output.shape == (2, CLASSES)
    assert not any(isinstance(module, AuxHead) for module in model.modules())


@pytest.mark.parametrize("name", ["logits", "aux1", "aux2"])
def test_each_output_comes_from_its_own_last_layer(images: Tensor, name: str) -> None:
    torch.manual_seed(0)
    model = GoogLeNet(SMALL).train()
    aux1, aux2 = heads(model)
    last = {"logits": model.fc, "aux1": aux1.fc2, "aux2": aux2.fc2}[name]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    with torch.no_grad():
        output = model(images)
    zero = [field for field in output._fields if not getattr(output, field).any()]
    assert zero == [name]


def test_the_heads_get_the_outputs_of_4a_and_4d(with_heads: GoogLeNet, images: Tensor) -> None:
    seen: dict[str, Tensor] = {}

    def record(name: str, tensor: Tensor) -> None:
        seen[name] = tensor

    aux1, aux2 = heads(with_heads)
    hooks = [
        with_heads.inception4a.register_forward_hook(lambda _m, _i, out: record("4a", out)),
        with_heads.inception4d.register_forward_hook(lambda _m, _i, out: record("4d", out)),
        aux1.register_forward_pre_hook(lambda _m, inputs: record("aux1", inputs[0])),
        aux2.register_forward_pre_hook(lambda _m, inputs: record("aux2", inputs[0])),
    ]
    with torch.no_grad():
        with_heads.train()(images)
    for hook in hooks:
        hook.remove()
    assert seen["aux1"] is seen["4a"]
    assert seen["aux2"] is seen["4d"]


def test_heads_do_not_run_in_eval(with_heads: GoogLeNet, images: Tensor) -> None:
    calls: list[str] = []
    hooks = [
        head.register_forward_hook(lambda *_: calls.append("ran")) for head in heads(with_heads)
    ]
    with torch.no_grad():
        with_heads.eval()(images)
        assert calls == []
        with_heads.train()(images)  # shows that the hooks work
    for hook in hooks:
        hook.remove()
    assert calls == ["ran", "ran"]


# Derived backwards through four stride-2 ceil-mode pools and conv1 (stride 2, padding 3).
@pytest.mark.parametrize(("kernel", "min_size"), [(2, 15), (3, 31)])
def test_smaller_images_than_the_limit_are_refused(
    monkeypatch: pytest.MonkeyPatch, kernel: Literal[2, 3], min_size: int
) -> None:
    config = replace(SMALL, last_pool_kernel=kernel, aux_pool=None)
    assert config.min_image_size == min_size
    model = GoogLeNet(config).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, min_size, min_size)).shape == (1, CLASSES)
        for height, width in ((min_size - 1, min_size), (min_size, min_size - 1)):
            too_small = torch.randn(1, 3, height, width)
            with pytest.raises(
                ValueError, match=f"at least {min_size}×{min_size} pixels.*got {height}×{width}"
            ):
                model(too_small)
        # Without the check, the network itself fails below the limit.
        monkeypatch.setattr("googlenet.model.check_images", lambda *_: None)
        with pytest.raises(RuntimeError):
            model(torch.randn(1, 3, min_size - 1, min_size - 1))


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((3, 64, 64), r"expected a batch of images, N × 3 × H × W; got 3 dimensions"),
        ((1, 1, 3, 64, 64), r"expected a batch of images, N × 3 × H × W; got 5 dimensions"),
        ((1, 1, 64, 64), r"expected 3 input channels; got 1 in shape"),
        ((1, 64, 64, 3), r"expected 3 input channels; got 64 "),
    ],
)
def test_a_wrong_shape_raises_a_clear_message(
    with_heads: GoogLeNet, shape: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        with_heads(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_images_of_integers_are_refused(with_heads: GoogLeNet, dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=rf"floating-point images; got {dtype}: convert them"):
        with_heads(torch.zeros(1, 3, 64, 64, dtype=dtype))


@pytest.mark.parametrize("in_channels", [1, 4])
def test_in_channels_and_num_classes(in_channels: int) -> None:
    model = googlenet.build("googlenet", aux=True, in_channels=in_channels, num_classes=7)
    with torch.no_grad():
        output = model.train()(torch.randn(2, in_channels, 64, 64))
    assert [part.shape for part in output] == [(2, 7)] * 3


def test_the_papers_aux_pool_differs_from_the_adaptive_one_only_in_values() -> None:
    x = torch.randn(AUX_INPUT, generator=torch.Generator().manual_seed(0))
    paper = AuxHead(512, replace(SMALL, aux_pool="average5x5")).pool(x)
    adaptive = AuxHead(512, SMALL).pool(x)
    assert paper.shape == adaptive.shape == (2, 512, 4, 4)
    assert torch.equal(paper, F.avg_pool2d(x, kernel_size=5, stride=3))
    assert not torch.allclose(paper, adaptive)


# At 64 pixels the map is 4×4, smaller than the kernel; at 96 and 320 the pool gives 1×1 and 6×6.
@pytest.mark.parametrize("size", [64, 96, 320])
def test_the_papers_aux_pool_refuses_other_image_sizes(size: int) -> None:
    model = GoogLeNet(replace(SMALL, aux_pool="average5x5")).train()
    with torch.no_grad(), pytest.raises(ValueError, match=r"224×224.*adaptive4x4"):
        model(torch.randn(1, 3, size, size))


def test_the_papers_aux_pool_accepts_the_papers_images() -> None:
    model = GoogLeNet(replace(SMALL, aux_pool="average5x5")).train()
    with torch.no_grad():
        output = model(torch.randn(1, 3, 224, 224))
    assert output.aux1.shape == output.aux2.shape == (1, CLASSES)


def test_the_loss_weights_each_head_by_0_3() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, aux1, aux2 = (torch.randn(4, CLASSES, generator=generator) for _ in range(3))
    target = torch.tensor([0, 1, 2, 4])
    expected = F.cross_entropy(logits, target) + 0.3 * (
        F.cross_entropy(aux1, target) + F.cross_entropy(aux2, target)
    )
    result = googlenet.loss(GoogLeNetOutput(logits, aux1, aux2), target)
    torch.testing.assert_close(result, expected)
    assert torch.equal(googlenet.loss(logits, target), F.cross_entropy(logits, target))


def stripes(count: int, size: int = 64) -> tuple[Tensor, Tensor]:
    """Return noisy images whose class is the direction and the channel of their stripes."""
    generator = torch.Generator().manual_seed(2)
    target = torch.arange(count) % 4
    wave = torch.sin(torch.arange(size) * (2 * torch.pi / 8))
    x = 0.2 * torch.randn(count, 3, size, size, generator=generator)
    for image, label in zip(x, target.tolist(), strict=True):
        image[label // 2] += wave[:, None] if label % 2 else wave[None, :]
    return x, target


def test_training_reduces_the_loss_and_uses_every_parameter() -> None:
    torch.manual_seed(0)
    model = googlenet.build("googlenet", aux=True, num_classes=4).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    images, target = stripes(16)
    losses: list[float] = []
    for step in range(8):
        value = googlenet.loss(model(images), target)
        losses.append(value.item())
        optimizer.zero_grad()
        value.backward()
        if step == 0:
            idle = [
                name
                for name, parameter in model.named_parameters()
                if parameter.grad is None or not parameter.grad.any()
            ]
            assert idle == []
        optimizer.step()
    assert losses[-1] < losses[0] / 2, losses
