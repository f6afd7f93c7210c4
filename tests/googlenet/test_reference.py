import pytest
import torch
import torchvision
from torch import Tensor, nn

import googlenet
from googlenet.checkpoint import load
from googlenet.heads import GoogLeNetOutput
from googlenet.reference import from_torchvision, to_torchvision

OURS, THEIRS = "googlenet-3x3-pool2", "torchvision"
TOLERANCE = 1e-5  # relative; the same arithmetic, up to the order of a sum
CLASSES = 10
HEADS = {"logits": "logits", "aux1": "aux_logits1", "aux2": "aux_logits2"}


def randomised(model: nn.Module) -> nn.Module:
    """Random in every tensor, batch norm's statistics too, so that no mix-up is invisible."""
    generator = torch.Generator().manual_seed(0)
    for key, tensor in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(3)
        elif tensor.dim() > 1:  # He et al. 2015, which keeps the signal's size
            fan_in = tensor[0].numel()
            tensor.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        elif key.endswith(("running_var", "bn.weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(0, 0.1, generator=generator)
    return model


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def build(name: str) -> nn.Module:
    return googlenet.build(name, aux=True, num_classes=CLASSES)


def pair(source: str) -> tuple[nn.Module, nn.Module]:
    """Ours and torchvision's, with the random weights of ``source`` in both."""
    ours, theirs = build(OURS), build(THEIRS)
    if source == OURS:
        load(theirs, to_torchvision(randomised(ours).state_dict()))
    else:
        load(ours, from_torchvision(randomised(theirs).state_dict()))
    return ours, theirs


def outputs(model: nn.Module, images: Tensor, *, training: bool) -> dict[str, Tensor]:
    torch.manual_seed(3)  # of the dropouts
    with torch.no_grad():
        output = model.train(training)(images)
    if isinstance(output, Tensor):
        return {"logits": output}
    assert isinstance(output, GoogLeNetOutput)
    return output._asdict()


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("source", [OURS, THEIRS])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_same_weights_same_outputs(images: Tensor, source: str, training: bool) -> None:
    ours, theirs = pair(source)
    found = outputs(ours, images, training=training)
    expected = outputs(theirs, images, training=training)
    assert list(found) == list(expected) == (list(HEADS) if training else ["logits"])
    for name in found:
        assert expected[name].isfinite().all()
        assert relative_error(found[name], expected[name]) <= TOLERANCE, name
    if training:
        # The two heads differ, so that swapping them would have been seen.
        assert relative_error(found["aux1"], expected["aux2"]) > 100 * TOLERANCE


def test_training_moves_batch_norms_statistics_alike(images: Tensor) -> None:
    ours, theirs = pair(OURS)
    before = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    outputs(ours, images, training=True)
    outputs(theirs, images, training=True)
    after = theirs.state_dict()
    moved = [key for key in after if not torch.equal(after[key], before[key])]
    assert moved == [key for key in after if "running" in key or "tracked" in key]
    for key, tensor in to_torchvision(ours.state_dict()).items():
        torch.testing.assert_close(tensor, after[key], rtol=1e-4, atol=1e-5, msg=key)


def test_the_round_trip_of_keys_is_the_identity() -> None:
    with torch.device("meta"):
        ours, theirs = build(OURS).state_dict(), build(THEIRS).state_dict()
    assert list(from_torchvision(to_torchvision(ours))) == list(ours)
    assert list(to_torchvision(from_torchvision(theirs))) == list(theirs)
    assert to_torchvision(ours).keys() == theirs.keys()
    assert from_torchvision(theirs).keys() == ours.keys()
    assert ours.keys() != theirs.keys()


def test_torchvisions_own_class_takes_our_weights(images: Tensor) -> None:
    ours = randomised(build(OURS))
    raw = torchvision.models.GoogLeNet(num_classes=CLASSES, aux_logits=True, init_weights=False)
    raw.load_state_dict(to_torchvision(ours.state_dict()), strict=True)
    found = outputs(ours, images, training=True)
    torch.manual_seed(3)
    with torch.no_grad():
        expected = raw.train()(images)
    for name, theirs in HEADS.items():
        assert relative_error(found[name], getattr(expected, theirs)) <= TOLERANCE, name
