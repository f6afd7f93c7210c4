from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

import googlenet
from googlenet.fuse import FusedInception, fuse

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BLOCKS = 9


def convolutions(model: nn.Module) -> int:
    return sum(isinstance(part, nn.Conv2d) for part in model.modules())


def assert_equal(state: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in other)


@pytest.mark.parametrize(
    ("name", "siblings"), [("googlenet", 3), ("torchvision", 3), ("googlenet-no-pool", 4)]
)
def test_each_block_has_one_convolution_in_place_of_its_siblings(name: str, siblings: int) -> None:
    model = googlenet.build(name)
    fused = fuse(model)
    assert sum(isinstance(part, FusedInception) for part in fused.modules()) == BLOCKS
    assert convolutions(fused) == convolutions(model) - BLOCKS * (siblings - 1)
    block = fused.get_submodule("inception3a")
    assert isinstance(block, FusedInception)
    conv = block.entry.get_submodule("conv")
    assert isinstance(conv, nn.Conv2d)
    assert conv.out_channels == conv.weight.shape[0] == sum(block.widths)


@pytest.mark.parametrize("name", ["googlenet", "torchvision", "googlenet-caffe"])
def test_state_dicts_save_and_load_in_the_original_form(name: str) -> None:
    torch.manual_seed(0)
    model, other = googlenet.build(name).eval(), googlenet.build(name).eval()
    fused = fuse(model)
    assert_equal(fused.state_dict(), model.state_dict())
    fused.load_state_dict(other.state_dict())
    assert_equal(fused.state_dict(), other.state_dict())
    with torch.no_grad():
        assert torch.allclose(fused(IMAGES), other(IMAGES), rtol=1e-4, atol=1e-5)


def test_a_missing_key_of_a_unit_is_an_error() -> None:
    fused = fuse(googlenet.build("googlenet"))
    incomplete = fused.state_dict()
    del incomplete["inception3a.branch1x1.conv.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*inception3a\.entry\.conv\.weight"):
        fused.load_state_dict(incomplete)


def trained(model: nn.Module) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return the logits of one training step, and the change of each value of the state dict."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logits = model(IMAGES.double())
    nn.functional.cross_entropy(logits, torch.tensor([1, 3])).backward()
    optimizer.step()
    return logits, {name: value - before[name] for name, value in model.state_dict().items()}


@pytest.mark.parametrize("name", ["googlenet", "torchvision", "googlenet-caffe"])
def test_the_network_trains_as_before(name: str) -> None:
    torch.manual_seed(0)
    # float64: rounding cannot hide a wrong gradient. Without dropout, which is random.
    model = googlenet.build(name, num_classes=5).double().train()
    model.get_submodule("dropout").eval()
    fused = fuse(model)
    logits, changes = trained(model)
    assert all(change.any() for change in changes.values())
    fused_logits, fused_changes = trained(fused)
    torch.testing.assert_close(fused_logits, logits, rtol=1e-9, atol=1e-12)
    assert fused_changes.keys() == changes.keys()
    for key, change in changes.items():
        torch.testing.assert_close(fused_changes[key], change, rtol=1e-6, atol=1e-9, msg=key)


def test_a_network_without_siblings_raises_value_error() -> None:
    with pytest.raises(ValueError, match=r"^Sequential has no 1×1 convolutions side by side"):
        fuse(nn.Sequential(nn.Conv2d(3, 4, 1)))


def test_a_block_with_a_single_1x1_convolution_on_its_input_is_not_fused() -> None:
    with torch.device("meta"):
        naive = googlenet.build("googlenet-naive")
    with pytest.raises(ValueError, match="has no 1×1 convolutions side by side"):
        fuse(naive)
