"""A run file is enough to make every report again, on a machine without what measures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import store
from tests.bench import runs

ROOT = Path(__file__).resolve().parents[3]
MEASURING = ("torch", "torchvision", "fvcore", "pytest_benchmark", "pytest", "psutil", "cpuinfo")
MAIN = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MEASURING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", MAIN, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    store.write(runs.small(), path)
    return path


def test_reports_are_made_without_what_measures(run_file: Path) -> None:
    done = run("report", str(run_file))
    assert done.returncode == 0, done.stderr
    written = ("report.md", "summary.csv", "samples.csv")
    for name in written:
        assert (run_file.parent / name).stat().st_size > 0
        assert f"wrote {run_file.parent / name}" in done.stdout
    assert done.stderr == ""


def test_measuring_says_what_to_install() -> None:
    done = run("cost", "googlenet")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "googlenet-bench: this command needs torch, which is not installed; "
        "install it with: pip install 'googlenet-bench[measure]'\n"
    )


@pytest.mark.parametrize("command", ["archs", "modes"])
def test_names_are_listed_without_what_measures(command: str) -> None:
    done = run(command, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert ("googlenet," if command == "archs" else "channels_last,") in done.stdout
