from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import archs
from bench.errors import RequestError
from bench.export.weights import with_weights
from tests.bench import tiny

TINY = archs.find("tests.bench.tiny:net")
GOOGLENET = archs.find("googlenet?num_classes=10")


def saved(folder: Path, content: Any) -> Path:
    path = folder / "weights.pt"
    torch.save(content, path)
    return path


def test_a_network_is_built_with_the_weights(tmp_path: Path) -> None:
    state = tiny.net().state_dict()
    built = with_weights(TINY, saved(tmp_path, state)).build(False).state_dict()
    assert built.keys() == state.keys()
    assert all(torch.equal(built[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("wrappers", [("state_dict",), ("model",), ("state_dict", "model")])
def test_the_weights_may_be_in_what_a_training_script_saved(
    tmp_path: Path, wrappers: tuple[str, ...]
) -> None:
    state = tiny.net().state_dict()
    content: Any = state
    for wrapper in reversed(wrappers):
        content = {wrapper: content, "epoch": 90}
    built = with_weights(TINY, saved(tmp_path, content)).build(False).state_dict()
    assert all(torch.equal(built[name], tensor) for name, tensor in state.items())


def test_a_network_reads_the_versions_of_its_modules(tmp_path: Path) -> None:
    """torchvision's MNASNet raises ValueError for a state dict without its version."""
    arch = archs.find("torchvision:mnasnet0_5?num_classes=2")
    state = arch.build(False).state_dict()
    built = with_weights(arch, saved(tmp_path, state)).build(False).state_dict()
    assert all(torch.equal(built[name], tensor) for name, tensor in state.items())
    with pytest.raises(RequestError, match="does not fit the network: version should be set"):
        with_weights(arch, saved(tmp_path, dict(state))).build(False)


def test_weights_of_auxiliary_heads_are_not_needed_for_inference(tmp_path: Path) -> None:
    trained = GOOGLENET.build(True).state_dict()
    built = with_weights(GOOGLENET, saved(tmp_path, trained)).build(False).state_dict()
    assert built.keys() < trained.keys()
    assert all(torch.equal(trained[name], tensor) for name, tensor in built.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (dict, "it lacks 0.bias, 0.weight, 1.bias and 6 more"),
        (lambda: {**tiny.net().state_dict(), "more": torch.zeros(1)}, "the network lacks more"),
        (
            lambda: tiny.net(10).state_dict(),
            r"size mismatch for 5.bias: .*\[10\].* current model is torch.Size\(\[1000\]\)",
        ),
        (lambda: {"state": tiny.net().state_dict()}, "contains something else than a state dict"),
        (lambda: [1], "contains something else than a state dict"),
        (tiny.net, "cannot be read as a state dict of tensors .*Weights only load failed"),
    ],
)
def test_weights_that_do_not_fit_are_a_sentence(
    tmp_path: Path, content: Callable[[], Any], message: str
) -> None:
    path = saved(tmp_path, content())
    with pytest.raises(RequestError, match=message) as raised:
        with_weights(TINY, path).build(False)
    assert str(path) in str(raised.value)


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*none.pt: No such file"):
        with_weights(TINY, tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("text")
    with pytest.raises(RequestError, match=r"text.pt cannot be read as a state dict"):
        with_weights(TINY, tmp_path / "text.pt")
