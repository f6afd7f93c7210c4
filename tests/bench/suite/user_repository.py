"""A user's repository with a network that sleeps, and the verdicts of a gate in it."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NET = """
import time
from torch import nn

class Sleeper(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, {classes})

    def forward(self, x):
        time.sleep({seconds})
        return self.fc(x.mean(dim=(2, 3)))

def sleeper():
    return Sleeper()
"""
SECONDS = 0.01
DELTA = 0.2  # far above the effect of a busy machine on a sleep
CELL = "nets:sleeper/eager/fp32/b1/infer/cpu"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def write_net(repository: Path, seconds: float = SECONDS, classes: int = 1000) -> None:
    (repository / "nets.py").write_text(NET.format(seconds=seconds, classes=classes))


def variables(**more: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")
    }
    # One thread, so that parallel tests do not delay each other at barriers.
    return {**inherited, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def verdicts(repository: Path) -> dict[str, str]:
    content = json.loads((repository.parent / "report/gate.json").read_text())
    return {cell["id"]: cell["verdict"] for cell in content["cells"]}
