from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from googlenet.blocks import Inception
from googlenet.config import GoogLeNetConfig, InceptionWidths

# All widths differ, so that exchanged branches have another shape or other values.
WIDTHS = InceptionWidths(conv1x1=2, reduce3x3=3, conv3x3=4, reduce5x5=5, conv5x5=6, pool_proj=7)
CHANNELS = 8
EPS = 1e-3  # of batch norm


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, CHANNELS, 6, 7, generator=generator, dtype=torch.float64)


def block_of(config: GoogLeNetConfig) -> Inception:
    """Return a block in eval mode and fp64 whose tensors all have random values."""
    block = Inception(CHANNELS, WIDTHS, config).double().eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in block.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(generator=generator)
    return block


def padded(x: Tensor, by: int, value: float = 0.0) -> Tensor:
    return F.pad(x, (by, by, by, by), value=value)


def unit(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Return the output of a unit: convolution of the image with zeros around it, norm, ReLU."""
    weight = state[f"{name}.conv.weight"]
    x = F.conv2d(padded(x, weight.shape[-1] // 2), weight, state.get(f"{name}.conv.bias"))
    if f"{name}.bn.weight" in state:
        of_norm = (state[f"{name}.bn.{part}"] for part in ("running_mean", "running_var"))
        mean, variance, scale, shift = (
            tensor[:, None, None]
            for tensor in (*of_norm, state[f"{name}.bn.weight"], state[f"{name}.bn.bias"])
        )
        x = (x - mean) / (variance + EPS).sqrt() * scale + shift
    return x.clamp(min=0)


def units(state: Mapping[str, Tensor], names: tuple[str, ...], x: Tensor) -> Tensor:
    for name in names:
        x = unit(state, name, x)
    return x


DEFAULT = GoogLeNetConfig()
CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "3x3": {"branch5x5": "3x3"},
    "double3x3": {"branch5x5": "double3x3"},
    "naive": {"reductions": False},
    "no-pool": {"branch_pool": False},
    "bias": {"conv_bias": True},
    "no-norm": {"norm": "lrn"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_block_is_four_branches_on_images_with_zeros_around_them(
    images: Tensor, name: str
) -> None:
    config = replace(DEFAULT, **CHANGES[name])
    block = block_of(config)
    state = block.state_dict()
    depth3x3 = 2 if config.reductions else 1
    depth5x5 = depth3x3 + (config.branch5x5 == "double3x3")
    pooled = F.max_pool2d(padded(images, 1, -torch.inf), kernel_size=3, stride=1)
    expected = [
        unit(state, "branch1x1", images),
        units(state, tuple(f"branch3x3.{index}" for index in range(depth3x3)), images),
        units(state, tuple(f"branch5x5.{index}" for index in range(depth5x5)), images),
        unit(state, "branch_pool.1", pooled)
        if config.branch_pool
        else unit(state, "branch_pool.0", images),
    ]
    with torch.inference_mode():
        output = block(images)
    torch.testing.assert_close(output, torch.cat(expected, dim=1))


def test_a_5x5_kernel_sees_zeros_beyond_the_borders() -> None:
    block = Inception(1, WIDTHS, replace(DEFAULT, norm="lrn", reductions=False)).double().eval()
    for parameter in block.parameters():
        torch.nn.init.constant_(parameter, 0.0)
    state = block.state_dict()
    state["branch5x5.0.conv.weight"].fill_(1.0)
    with torch.inference_mode():
        output = block(torch.ones(1, 1, 6, 6, dtype=torch.float64))
    first = WIDTHS.conv1x1 + WIDTHS.conv3x3
    counts = torch.tensor([3, 4, 5, 5, 4, 3], dtype=torch.float64)  # pixels under the kernel
    for channel in range(first, first + WIDTHS.conv5x5):
        assert torch.equal(output[0, channel], counts[:, None] * counts)
