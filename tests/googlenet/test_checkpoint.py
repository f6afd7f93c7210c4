import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from googlenet.checkpoint import load, read


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel_size=3)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def other() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return Net().state_dict()


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_valid_file_is_read_and_loaded(model: nn.Module, path: Path, wrapper: str | None) -> None:
    weights = other()
    assert not same(copied(model), weights)
    torch.save({wrapper: weights, "epoch": 3} if wrapper else weights, path)
    load(model, read(path))
    assert same(copied(model), weights)


def test_the_batch_counter_may_be_missing(model: nn.Module) -> None:
    weights = other()
    del weights["bn.num_batches_tracked"]
    load(model, weights)
    assert torch.equal(model.get_parameter("fc.weight"), weights["fc.weight"])


def test_weights_that_do_not_fit_are_named_and_not_loaded(model: nn.Module) -> None:
    weights = other()
    del weights["fc.bias"], weights["bn.running_mean"]
    weights["head.weight"] = torch.zeros(1)
    weights["fc.weight"] = torch.zeros(5, 4)
    before = copied(model)
    with pytest.raises(ValueError, match="do not fit Net") as caught:
        load(model, weights)
    message = str(caught.value)
    assert "2 missing (bn.running_mean, fc.bias)" in message
    assert "1 extra (head.weight)" in message
    assert "1 misshaped (fc.weight is 5×4 and should be 2×4)" in message
    assert same(copied(model), before)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"head.weight": torch.zeros(1)}, "extra"),
        ({"fc.bias": torch.zeros(3)}, "misshaped"),
        ({"bn.num_batches_tracked": torch.zeros(3)}, "misshaped"),
    ],
)
def test_a_single_kind_of_mismatch_is_refused(
    model: nn.Module, change: dict[str, Tensor], word: str
) -> None:
    before = copied(model)
    with pytest.raises(ValueError, match=f": 1 {word}"):
        load(model, other() | change)
    assert same(copied(model), before)


def test_every_key_is_named(model: nn.Module) -> None:
    extra = {f"extra{index}": torch.zeros(1) for index in range(9)}
    with pytest.raises(ValueError, match=f"9 extra .{', '.join(extra)}."):
        load(model, other() | extra)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_file_that_would_run_code_is_refused(path: Path, tmp_path: Path, writer: str) -> None:
    target = tmp_path / "it-ran"
    content = {"fc.weight": Bomb(target)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))  # torch.save's own protocol
    with pytest.raises(ValueError, match="checkpoint of tensors only"):
        read(path)
    assert not target.exists()
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(path.read_bytes())  # noqa: S301
    assert target.exists()  # loading it without weights_only does run the code


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not a checkpoint\n",
        b"<!DOCTYPE html><html></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"\x80\x02",
        b"PK\x03\x04 half an archive",
        bytes(range(256)),
        b"\x00" * 64,
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=["empty", "newline", "text", "html", "lfs", "pickle", "zip", "bytes", "zeros", "png"],
)
def test_garbage_is_a_value_error_naming_the_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pt"):
        read(path)


def test_a_truncated_file_is_a_value_error(path: Path) -> None:
    torch.save(other(), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"weights\.pt"):
        read(path)


@pytest.mark.parametrize(
    "content", [[1, 2], {"epoch": 3}, torch.zeros(2), {"state_dict": {"a": 1}}]
)
def test_other_contents_are_refused(path: Path, content: object) -> None:
    torch.save(content, path)
    with pytest.raises(ValueError, match="holds no state dict"):
        read(path)


def test_a_missing_file_is_an_os_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(path)
