"""The printed program is run, and gives eager's answer."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import archs
from bench.best import program
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.records.reported import Setup
from tests.bench.tiny import NUM_CLASSES
from tests.docs.pages import ROOT

TINY = "tests.bench.tiny:net"
SIZE = 32
IMAGES = Setup(image_size=SIZE)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def cell(arch: str = TINY, mode: str = "eager", dtype: str = "fp32", device: str = "cpu") -> Cell:
    return Cell(arch=arch, mode=mode, dtype=dtype, batch_size=2, task="infer", device=device)


def answer(folder: Path, text: str) -> Any:
    """Run a program in a new process, with a fixed seed, and return its output."""
    saved = folder / "output.pt"
    seeded = text.replace("import torch\n", "import torch\n\ntorch.manual_seed(7)\n", 1)
    saving = f"torch.save(torch.as_tensor(output).clone(), {str(saved)!r})\n"
    (folder / "program.py").write_text(f"{seeded}\n{saving}")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    return torch.load(saved).cpu().float()


def runnable() -> Sequence[str]:
    """Return the tokens that this machine can run and that say how they are written."""
    return [
        name
        for name, token in modes.tokens().items()
        if DEVICE in token.devices and not token.missing and token.code
        if modes.kind(token) != "option"
    ]


@pytest.fixture(scope="module")
def of_eager(tmp_path_factory: pytest.TempPathFactory) -> Any:
    of_cell = cell(device=DEVICE)
    return answer(tmp_path_factory.mktemp("eager"), program.lines(of_cell, IMAGES, threads=1))


def test_every_token_says_how_it_is_written() -> None:
    assert [name for name, token in modes.tokens().items() if not token.code] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode",
    [
        *sorted(set(runnable()) - {"fuse"}),
        "compile+channels_last",
        "compile+cpp_wrapper",
        "freeze+cpp_wrapper+fold",
        "packed+channels_last+fold",
    ],
)
def test_the_program_of_a_token_gives_the_answer_of_eager(
    tmp_path: Path, mode: str, of_eager: Any
) -> None:
    assert {"eager", "compile", "channels_last"} <= set(runnable())
    text = program.lines(cell(mode=mode, device=DEVICE), IMAGES, threads=1)
    found = answer(tmp_path, text)
    budget = modes.parse(mode).error_budget + DTYPES["fp32"].error_bound
    assert torch.linalg.vector_norm(found - of_eager) <= budget * torch.linalg.vector_norm(of_eager)


def test_the_program_of_fuse_gives_the_answer_of_eager(tmp_path: Path) -> None:
    """It fits only GoogLeNets."""
    googlenet, images = "googlenet-3x3?num_classes=10", Setup(image_size=64)
    of_eager = answer(tmp_path, program.lines(cell(googlenet), images, threads=1))
    found = answer(tmp_path, program.lines(cell(googlenet, "fuse"), images, threads=1))
    assert torch.linalg.vector_norm(found - of_eager) <= 1e-3 * torch.linalg.vector_norm(of_eager)


@pytest.mark.parametrize("mode", ["channels_last", "packed", "openvino"])
def test_the_program_converts_to_the_dtype(tmp_path: Path, mode: str, of_eager: Any) -> None:
    if mode not in runnable():
        pytest.skip(f"{mode} does not run here")
    if mode == "packed" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN has no bf16 on this CPU")
    text = program.lines(cell(mode=mode, dtype="bf16", device=DEVICE), IMAGES)
    assert "bfloat16" in text
    distance = torch.linalg.vector_norm(answer(tmp_path, text) - of_eager)
    assert 0 < distance <= DTYPES["bf16"].error_bound * torch.linalg.vector_norm(of_eager)


@pytest.mark.parametrize(
    ("arch", "setup", "shape"),
    [
        ("googlenet-3x3?num_classes=10", Setup(image_size=64), (2, 10)),
        ("torchvision:squeezenet1_1?num_classes=10@48", Setup(image_size=48), (2, 10)),
        ("torchvision:googlenet?num_classes=10", Setup(image_size=64), (2, 10)),
        ("timm:mobilenetv3_small_050?num_classes=10", Setup(image_size=64), (2, 10)),
        (f"{TINY}?classes=10", IMAGES, (2, 10)),
        ("nets/deep/small.py:net?classes=10", IMAGES, (2, 10)),
        ("own.py:net", IMAGES, (2, 3)),
        ("own.py:named", Setup(input_shapes=("5",)), (2, 3)),
        ("own.py:grey", Setup(input_shapes=("1×6×6",)), (2, 3)),
        ("own.py:grey@1x6x6", Setup(input_shapes=("1×6×6",)), (2, 3)),
    ],
)
def test_the_program_builds_the_network_of_every_source(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arch: str,
    setup: Setup,
    shape: tuple[int, int],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets" / "deep").mkdir(parents=True)
    for package in ("nets", "nets/deep"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "nets" / "blocks.py").write_text("from tests.bench.tiny import net\n")
    (tmp_path / "nets" / "deep" / "small.py").write_text("from ..blocks import net\n")
    (tmp_path / "beside.py").write_text("from torch import nn\n")
    (tmp_path / "own.py").write_text(OWN)
    text = program.lines(cell(arch), setup, input_shape=(1, 6, 6))
    names: dict[str, Any] = {}
    before = set(sys.modules)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "path", [str(ROOT), *sys.path])
            exec(text, names)  # noqa: S102 - in this process, which has imported torch
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in {"nets", "own", "beside"}:
                del sys.modules[name]
    assert names["output"].shape == shape
    assert ("bench" in text.replace("tests.bench", "")) is arch.endswith("named")


OWN = """\
import torch
from beside import nn


def net():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))


def grey():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, *, words):
        return self.linear(words)


def named():
    return Named()


named.example_inputs = lambda batch_size: {"words": torch.randn(batch_size, 5)}
"""


def test_the_program_of_a_device_moves_the_network_and_sets_tf32() -> None:
    text = program.lines(cell(dtype="tf32", device="cuda:1"), IMAGES)
    for line in ("model = model.to('cuda:1')", "torch.backends.cudnn.allow_tf32 = True"):
        assert line in text


def test_tokens_without_code_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert program.lacking(cell(mode="compile+channels_last")) == ()
    monkeypatch.setattr(modes, "parse", lambda _: _Mode)
    assert program.lacking(cell()) == ("mine",)


class _Token:
    name, code = "mine", ""


class _Mode:
    tokens = (_Token,)


def test_a_network_whose_source_has_no_lines_is_built_with_this_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arch = replace(archs.find(TINY), lines=None)
    with monkeypatch.context() as patched:
        patched.setattr(archs, "find", lambda _: arch)
        text = program.lines(cell(), IMAGES)
    assert f"model = archs.find('{TINY}').build(False)" in text
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - in this process, which has imported torch
    assert names["output"].shape == (2, NUM_CLASSES)
