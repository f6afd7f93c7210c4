"""The wheel in a fresh environment, and in another project's repository (tests/sample)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.suite.user_repository import git

pytestmark = [pytest.mark.slow, pytest.mark.workers]

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str, cwd: Path, expected: int = 0) -> str:
    """Run a command and return its output; assert its exit code."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GITHUB_") and name != "PYTHONPATH"
    }
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == expected, output
    return " ".join(output.split())


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the built wheel into a fresh environment, and return the folder of its scripts."""
    folder = tmp_path_factory.mktemp("installed")
    uv = shutil.which("uv") or pytest.skip("needs uv, to build and install the wheel")
    _run(uv, "build", "--wheel", "--out-dir", str(folder), str(ROOT), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    _run(uv, "venv", "--python", sys.executable, str(folder / "venv"), cwd=folder)
    python = folder / "venv" / "bin" / "python"
    _run(uv, "pip", "install", "--python", str(python), f"{wheel}[measure]", cwd=folder)
    return python.parent


def test_a_project_of_others_is_measured_counted_and_gated(scripts: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(ROOT / "tests" / "sample", tmp_path / "sample"))
    program, tests = str(scripts / "googlenet-bench"), str(scripts / "pytest")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "two networks")

    assert "2 passed" in _run(str(scripts / "python"), "-m", "pytest", cwd=project)
    collected = _run(
        tests, "--googlenet-bench", "--collect-only", "-q", "checks/test_own.py", cwd=project
    )
    assert "3 tests collected" in collected
    collected = _run(program, "run", "--collect-only", "-q", cwd=project)
    assert "2 tests collected" in collected
    assert "warning" not in collected
    _run(program, "baseline", cwd=project)
    assert "Nothing differs" in _run(program, "gate", "--static", cwd=project)

    git(project, "add", ".")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "the same networks")
    gate = (program, "gate", "--device=cpu", "--base=HEAD~1", "--rounds=3")
    output = _run(*gate, cwd=project)
    assert "2 unchanged" in output
    assert "uncommitted changes" not in output  # reports/ is not tracked

    nets = project / "bench" / "nets.py"
    nets.write_text(nets.read_text().replace("time.sleep(0.01)", "time.sleep(0.02)"))
    git(project, "commit", "--all", "--quiet", "--message", "slower networks")
    assert "2 regressed" in _run(*gate, cwd=project, expected=1)
