"""``export``: one file that is written, and requests that are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.export import export as exports
from bench.export.export import CheckError
from tests.bench import tiny

Capture = pytest.CaptureFixture[str]
TINY = "tests.bench.tiny:net"
CPU = ("--device=cpu", "--image-size=32")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_written_with_the_weights_and_replaced_only_with_force(
    in_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained = tiny.net()
    torch.save(trained.state_dict(), "trained.pt")
    words = ["export", TINY, *CPU, "--weights=trained.pt", "-o", "net.pt2"]
    assert main([*words, "--batch-size=2", "--format=json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert row["files"] == "net.pt2"
    assert row["bytes"] == (in_folder / "net.pt2").stat().st_size
    assert row["output_error"] <= row["error_bound"]
    images = torch.randn(2, 3, 32, 32)
    loaded = torch.export.load("net.pt2").module()
    with torch.inference_mode():
        assert torch.allclose(loaded(images), trained.eval()(images), atol=1e-6)
    assert main(words) == 2
    assert "net.pt2 exists: name another file (-o), or replace it" in capfd.readouterr().err
    assert main([*words, "--force"]) == 0
    out = capfd.readouterr().out
    assert "torch.export.load(path)" in out
    assert "random" not in out.replace("Random inputs", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode=eagr", "-o", "net.pt2"], "did you mean 'eager'?"),
        (["--mode=packed", "-o", "net.pt2"], "cannot be exported: weights that oneDNN packed"),
        (["--mode=onnxruntime", "-o", "net.pt2"], "must end with .onnx: -o net.onnx"),
        (["--mode=openvino", "-o", "net"], "must end with .xml: -o net.xml"),
        (["-o", "none/net.pt2"], "the folder none does not exist"),
        (["-o", "folder.pt2"], "folder.pt2 is a folder"),
        (["-o", ""], "--output is empty"),
        (["-o", "net.pt2", "--batch-size=0"], "at least one image"),
        (["-o", "net.pt2", "--dtype=fp61"], "no dtype is called 'fp61'"),
        (["--mode=onnxruntime", "-o", "net.onnx", "--dtype=bf16"], "supports fp32, not bf16"),
        (["-o", "net.pt2", "--weights=none.pt"], "cannot read none.pt: No such file"),
    ],
)
def test_a_wrong_request_is_a_sentence_and_leaves_nothing(
    in_folder: Path, capsys: Capture, options: list[str], message: str
) -> None:
    (in_folder / "folder.pt2").mkdir()
    assert main(["export", TINY, *CPU, *options]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert [path.name for path in in_folder.iterdir()] == ["folder.pt2"]


def test_a_pattern_of_several_networks_is_refused(capsys: Capture) -> None:
    assert main(["export", "googlenet*", *CPU, "-o", "net.pt2"]) == 2
    assert "networks (googlenet" in capsys.readouterr().err


def raises(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CheckError("the file is not kept"), 1, f"{TINY} in the mode eager: the file is not kept"),
        (KeyboardInterrupt(), 2, "interrupted: nothing is written"),
        (OSError(28, "No space left on device"), 2, "cannot write net.pt2: No space left"),
    ],
)
def test_a_failure_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr(exports, "export", raises(error))
    assert main(["export", TINY, *CPU, "-o", "net.pt2"]) == code
    assert message in capsys.readouterr().err
