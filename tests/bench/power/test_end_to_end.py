"""What a gate of gate_power is held on; the gate itself has tests of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import torch

from bench.power import end_to_end
from bench.suite.profiles import PROFILES

BUILD = "import network; print(network.network()(__import__('torch').zeros(1, 3, 224, 224)).shape)"


def built(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=folder,
        env=end_to_end._variables(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_both_sides_of_a_gate_are_networks_and_differ_as_asked() -> None:
    with end_to_end._repository(3) as folder:
        source = folder / "network.py"
        head = source.read_text(encoding="utf-8")
        assert "Injected('conv', 3)" in head
        assert built(folder) == str(torch.Size([1, 1000]))
        subprocess.run(["git", "checkout", "-q", "."], cwd=folder, check=True)  # noqa: S607
        assert "Injected('none', 0)" in source.read_text(encoding="utf-8")
        assert built(folder) == str(torch.Size([1, 1000]))


def test_an_a_a_gates_head_differs_in_a_comment() -> None:
    with end_to_end._repository(0) as folder:
        head = (folder / "network.py").read_text(encoding="utf-8")
        subprocess.run(["git", "checkout", "-q", "."], cwd=folder, check=True)  # noqa: S607
        base = (folder / "network.py").read_text(encoding="utf-8")
    assert head == base + "# Head.\n"


def test_a_gate_of_six_cells_has_the_cells_of_a_gate_without_options() -> None:
    (own, reference), modes = end_to_end.SIX_CELLS
    quick = PROFILES["quick"]
    assert (own, reference, modes) == (end_to_end.ARCH, quick.archs[1], quick.modes)


BASE = """
import os, signal
from pathlib import Path
from bench.gate import tree
with tree.at("HEAD", Path.cwd()) as base:
    print(base.root, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_gate_that_was_killed() -> None:
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
