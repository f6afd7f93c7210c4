"""Files of every executor, each loaded and run in a fresh process."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.executors import EXECUTORS
from bench.executors.exported import PROGRAM
from bench.export import export as exports
from bench.export import fresh
from bench.export.export import CheckError, Exported, export

may_warn = pytest.mark.filterwarnings("default")  # Inductor, of a missing CUDA
TINY = "tests.bench.tiny:net"


def cell(mode: str = "eager", dtype: str = "fp32", arch: str = TINY) -> Cell:
    return Cell(arch=arch, mode=mode, dtype=dtype, batch_size=2, task="infer", device="cpu")


def written(path: Path, mode: str = "eager", dtype: str = "fp32", arch: str = TINY) -> Exported:
    return export(cell(mode, dtype, arch), path, image_size=32)


@may_warn
@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "dtype", "names"),
    [
        ("eager", "bf16", ["net.pt2"]),
        ("channels_last+fold", "fp32", ["net.pt2"]),
        ("compile+cpp_wrapper", "fp32", ["net.pt2"]),
        ("freeze+channels_last", "fp32", ["net.pt2"]),
        ("aot", "fp32", ["net.pt2"]),
        ("onednn", "fp32", ["net.pt"]),
        ("onnxruntime+fold", "fp32", ["net.onnx"]),
        ("openvino", "fp32", ["net.xml", "net.bin"]),
    ],
)
def test_a_file_answers_like_eager_in_a_fresh_process(
    tmp_path: Path, mode: str, dtype: str, names: list[str]
) -> None:
    exported = written(tmp_path / names[0], mode, dtype)
    assert exported.error <= exported.error_bound
    assert [path.name for path in exported.paths] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert exported.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert "bench" not in exported.program.replace(str(tmp_path), "")


def test_the_printed_program_runs_googlenet_in_channels_last(tmp_path: Path) -> None:
    mode = "fold+fuse+channels_last"
    exported = written(tmp_path / "net.pt2", mode, arch="googlenet?num_classes=10")
    (weight, *_) = torch.export.load(tmp_path / "net.pt2").module().parameters()
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    script = tmp_path / "program.py"
    script.write_text(f"{exported.program}\nassert output.shape == (2, 10)\n")
    done = subprocess.run(
        # torch 2.11 warns of its own loading.
        [sys.executable, "-W", "error", "-W", "ignore:The given buffer is not", str(script)],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("model = torch.nn.Flatten()\n", "its answer in a fresh process is wrong: the output has "),
        ("import bench\n", "cannot be loaded and run in a fresh process .*import of bench halted"),
    ],
)
def test_a_file_with_a_wrong_answer_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    broken = replace(PROGRAM, code=lambda _: code)
    monkeypatch.setattr(exports, "file_format", lambda _: broken)
    with pytest.raises(CheckError, match=message):
        written(tmp_path / "net.pt2")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fresh, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "net.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_second_file_that_exists_is_not_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("net.xml", "net.bin"):
        (kept / name).write_text("new")
    (tmp_path / "net.bin").write_text("old")
    with pytest.raises(RequestError, match=r"net\.bin exists"):
        exports._move(kept, tmp_path / "net.xml", replaces=False)
    assert not (tmp_path / "net.xml").exists()
    assert (tmp_path / "net.bin").read_text() == "old"
    assert exports._move(kept, tmp_path / "net.xml", replaces=True)[0] == tmp_path / "net.xml"
    assert (tmp_path / "net.bin").read_text() == "new"


def test_each_executor_has_a_format_and_its_lines_or_a_reason() -> None:
    for executor in EXECUTORS.values():
        assert (executor.file is None) is bool(executor.not_exported)
        if executor.file is not None and executor.file.loads_module:
            assert executor.code


class Failing(nn.Module):
    """A network whose forward pass fails."""

    def forward(self, _images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no answer")


def failing() -> nn.Module:
    return Failing()


def test_an_error_of_the_network_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="test_export:failing: RuntimeError: no answer"):
        written(tmp_path / "net.pt2", arch=f"{__name__}:failing")
    assert list(tmp_path.iterdir()) == []
