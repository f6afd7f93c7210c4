"""Every command works in a repository that has a package called bench of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.suite.user_repository import ROOT, git, verdicts
from tests.limits import HANG_S

pytestmark = pytest.mark.workers

# As the script googlenet-bench does, which has no current folder in its search path.
PROGRAM = ("-P", "-c", "import sys; from bench.__main__ import main; sys.exit(main())")
ARCH = "bench/stats.py:net"  # this project has a file of this name too
NET = """
import time

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 10)

    def forward(self, x):
        time.sleep(0.01)
        return self.fc(x.mean(dim=(2, 3)))


def net():
    return Net()
"""
SETTINGS = f"""
[tool.googlenet-bench]
archs = ["{ARCH}"]
modes = ["eager"]
image-size = 8
foreign-cpus = 100
baseline = "counts.json"

[tool.googlenet-bench.gate]
delta = 0.2
"""
SHORT = ("--sets=2", "--rounds=2", "--precision=1", "--no-ceiling", "--batch-sizes=1")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create a repository with a package called bench, which cannot be imported."""
    root = tmp_path / "project"
    (root / "bench").mkdir(parents=True)
    (root / "bench" / "__init__.py").write_text("raise ImportError('the package of the user')\n")
    (root / "bench" / "stats.py").write_text(NET)
    (root / "pyproject.toml").write_text(SETTINGS)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "a network")
    return root


def run(repository: Path, *arguments: str) -> str:
    """Run a command of googlenet-bench in the repository, and return its output."""
    ended = subprocess.run(
        [sys.executable, *PROGRAM, *arguments],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    return output


def test_networks_are_counted(repository: Path) -> None:
    assert ARCH in run(repository, "cost", ARCH, "--image-size=8")
    run(repository, "baseline")
    output = run(repository, "gate", "--static")
    assert "Nothing differs from counts.json" in " ".join(output.split())


def test_networks_are_measured(repository: Path) -> None:
    assert f"[{ARCH}/eager/fp32/b1/infer/cpu]" in run(
        repository, "run", "--device=cpu", "-v", *SHORT
    )
    stages = run(
        repository, "stages", ARCH, "--image-size=8", "--sets=2", "--device=cpu", "--foreign-cpus=9"
    )
    assert "fc" in stages


def test_head_and_base_are_compared(repository: Path) -> None:
    (repository / "reports").mkdir()
    (repository / "reports" / "notes.txt").write_text("not tracked\n")
    output = run(
        repository, "gate", "--base=HEAD", "--device=cpu", "--report-dir=../report", "--rounds=3"
    )
    assert verdicts(repository) == {f"{ARCH}/eager/fp32/b1/infer/cpu": "unchanged"}
    assert "uncommitted changes" not in output


def test_a_file_that_only_head_has_is_not_looked_up_elsewhere_for_the_base(
    repository: Path,
) -> None:
    (repository / "bench" / "names.py").write_text(NET)
    ended = subprocess.run(
        [
            *(sys.executable, *PROGRAM, "gate", "--base=HEAD", "--device=cpu", "--rounds=3"),
            *("--archs=bench/names.py:net", "--report-dir=../report"),
        ],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    output = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode == 3, output
    assert "there is no file bench/names.py in /tmp" in output
