"""The repositories of end-to-end gates; tests/bench/gate tests the gate itself."""

import signal
import subprocess
import sys
from pathlib import Path

import torch

from bench.api.profiles import PROFILES
from bench.studies.power import end_to_end

BUILD = "import network; print(network.network()(__import__('torch').zeros(1, 3, 224, 224)).shape)"


def build_network(folder: Path) -> str:
    process = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=folder,
        env=end_to_end._variables(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.strip()


def test_head_has_the_injection_and_base_has_none() -> None:
    with end_to_end._repository(3) as folder:
        source = folder / "network.py"
        head = source.read_text(encoding="utf-8")
        assert "Injected('conv', 3)" in head
        assert build_network(folder) == str(torch.Size([1, 1000]))
        subprocess.run(["git", "checkout", "-q", "."], cwd=folder, check=True)  # noqa: S607
        assert "Injected('none', 0)" in source.read_text(encoding="utf-8")
        assert build_network(folder) == str(torch.Size([1, 1000]))


def test_head_of_an_aa_gate_differs_in_a_comment_only() -> None:
    with end_to_end._repository(0) as folder:
        head = (folder / "network.py").read_text(encoding="utf-8")
        subprocess.run(["git", "checkout", "-q", "."], cwd=folder, check=True)  # noqa: S607
        base = (folder / "network.py").read_text(encoding="utf-8")
    assert head == base + "# Head.\n"


def test_a_gate_of_six_cells_has_the_archs_and_modes_of_the_default_gate() -> None:
    (own, reference), modes = end_to_end.SIX_CELLS
    quick = PROFILES["quick"]
    assert (own, reference, modes) == (end_to_end.ARCH, quick.archs[1], quick.modes)


BASE = """
import os, signal
from pathlib import Path
from bench.gate import tree
with tree.checkout("HEAD", Path.cwd()) as base:
    print(base.root, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_gate_leaves_no_files() -> None:
    with end_to_end._repository(0) as folder:
        killed = subprocess.run(
            [sys.executable, "-c", BASE],
            cwd=folder,
            env=end_to_end._variables(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        base = Path(killed.stdout.strip())
        assert (base / "network.py").exists()
    assert not base.exists()
    assert not folder.parent.exists()
