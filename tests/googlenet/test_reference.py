import pytest
import torch
import torchvision
from torch import Tensor, nn

import googlenet
from googlenet.checkpoint import load
from googlenet.heads import GoogLeNetOutput
from googlenet.reference import from_torchvision, to_torchvision

OWN, REFERENCE = "googlenet-3x3-pool2", "torchvision"
TOLERANCE = 1e-5  # relative; the arithmetic differs only in the order of sums
CLASSES = 10
HEADS = {"logits": "logits", "aux1": "aux_logits1", "aux2": "aux_logits2"}


def randomised(model: nn.Module) -> nn.Module:
    """Set every tensor to random values, so that exchanged tensors would be noticed."""
    generator = torch.Generator().manual_seed(0)
    for key, tensor in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(3)
        elif tensor.dim() > 1:  # He et al. 2015, which keeps the scale of signals
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
    """Return this project's network and torchvision's, both with the weights of ``source``."""
    own, reference = build(OWN), build(REFERENCE)
    if source == OWN:
        load(reference, to_torchvision(randomised(own).state_dict()))
    else:
        load(own, from_torchvision(randomised(reference).state_dict()))
    return own, reference


def outputs(model: nn.Module, images: Tensor, *, training: bool) -> dict[str, Tensor]:
    torch.manual_seed(3)  # seed of the dropouts
    with torch.no_grad():
        output = model.train(training)(images)
    if isinstance(output, Tensor):
        return {"logits": output}
    assert isinstance(output, GoogLeNetOutput)
    return output._asdict()


def relative_error(result: Tensor, expected: Tensor) -> float:
    return float((result - expected).norm() / expected.norm())


@pytest.mark.parametrize("source", [OWN, REFERENCE])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_same_weights_give_the_same_outputs(
    images: Tensor, source: str, training: bool
) -> None:
    own, reference = pair(source)
    result = outputs(own, images, training=training)
    expected = outputs(reference, images, training=training)
    assert list(result) == list(expected) == (list(HEADS) if training else ["logits"])
    for name in result:
        assert expected[name].isfinite().all()
        assert relative_error(result[name], expected[name]) <= TOLERANCE, name
    if training:
        # The two heads differ, so exchanging them would have been noticed.
        assert relative_error(result["aux1"], expected["aux2"]) > 100 * TOLERANCE


def test_training_updates_the_batch_norm_statistics_equally(images: Tensor) -> None:
    own, reference = pair(OWN)
    before = {key: tensor.clone() for key, tensor in reference.state_dict().items()}
    outputs(own, images, training=True)
    outputs(reference, images, training=True)
    after = reference.state_dict()
    updated = [key for key in after if not torch.equal(after[key], before[key])]
    assert updated == [key for key in after if "running" in key or "tracked" in key]
    for key, tensor in to_torchvision(own.state_dict()).items():
        torch.testing.assert_close(tensor, after[key], rtol=1e-4, atol=1e-5, msg=key)


def test_converting_keys_back_and_forth_changes_nothing() -> None:
    with torch.device("meta"):
        own, reference = build(OWN).state_dict(), build(REFERENCE).state_dict()
    assert list(from_torchvision(to_torchvision(own))) == list(own)
    assert list(to_torchvision(from_torchvision(reference))) == list(reference)
    assert to_torchvision(own).keys() == reference.keys()
    assert from_torchvision(reference).keys() == own.keys()
    assert own.keys() != reference.keys()


def test_torchvisions_own_class_loads_converted_weights(images: Tensor) -> None:
    model = randomised(build(OWN))
    raw = torchvision.models.GoogLeNet(num_classes=CLASSES, aux_logits=True, init_weights=False)
    raw.load_state_dict(to_torchvision(model.state_dict()), strict=True)
    result = outputs(model, images, training=True)
    torch.manual_seed(3)
    with torch.no_grad():
        expected = raw.train()(images)
    for name, torchvision_name in HEADS.items():
        assert relative_error(result[name], getattr(expected, torchvision_name)) <= TOLERANCE, name


def gradients(model: nn.Module, images: Tensor, target: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(3)  # seed of the dropouts
    googlenet.loss(model.double().train()(images.double()), target).backward()
    return {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def test_the_same_weights_have_the_same_gradients(images: Tensor) -> None:
    own, reference = pair(OWN)
    images, target = images[:2], torch.arange(2)
    result = to_torchvision(gradients(own, images, target))
    expected = gradients(reference, images, target)
    assert result.keys() == expected.keys() == dict(reference.named_parameters()).keys()
    for name, gradient in expected.items():
        assert gradient.any(), name
        assert relative_error(result[name], gradient) <= 1e-9, name  # in fp64


def test_torchvision_s_smallest_image_is_the_one_that_it_publishes() -> None:
    weights = torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1
    assert weights.meta["min_size"] == (15, 15)
    model = build(REFERENCE).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 15, 15)).shape == (1, CLASSES)
        for height, width in ((14, 15), (15, 14)):
            with pytest.raises(ValueError, match=f"at least 15×15 pixels.*got {height}×{width}"):
                model(torch.randn(1, 3, height, width))
