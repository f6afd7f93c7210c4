import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.cli import judged
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[3]
NET = "from torch import nn\n\n\ndef net():\n    return nn.Conv2d(3, 4, 3)\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create a repository with a committed network."""
    (tmp_path / "nets.py").write_text(NET)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path))
    for command in ("init --quiet", "add .", "commit --quiet --message network"):
        subprocess.run([*git, *command.split()], check=True)
    return tmp_path


@pytest.mark.parametrize(("ratios", "code"), [("SLOWER", 1), ("UNCLEAR", 3)])
def test_the_verdict_is_the_command_s_exit_code(repository: Path, ratios: str, code: int) -> None:
    cells = ("--archs=nets:net", "--modes=eager", "--device=cpu")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "gate", "--base=HEAD", *cells),
            *("--collect-only", "-p", "tests.bench.cli.judged"),
        ],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT), judged.VARIABLE: ratios},
        check=False,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
