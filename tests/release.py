"""Checks of a release: what its files contain, and the commands of users who install the wheel.

``python -m tests.release dist`` is a part of ``nox -s release``. It needs git and uv.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN_FILE = ROOT / "reports" / "cpu-amd-epyc-2-cores" / "run.json"
LIMIT_S = 1800.0  # installing PyTorch with CUDA's libraries can take many minutes
IN_WHEEL = ("bench/", "googlenet/", "pytest_googlenet_bench.py")
NOT_IN_WHEEL = ("bench/studies/", "bench/gpu.py")
WITHOUT_TORCH = (
    "--help",
    "report run.json --report-dir reports",
    "report run.json --table summary",
    "compare run.json run.json",
    "completion bash",
)
WITH_TORCH = (
    "archs",
    "modes",
    "cost googlenet",
    "table1",
    "run --archs googlenet,torchvision --modes eager --sets 1 --rounds 3 --image-size 64"
    " --foreign-cpus 1000 --report-dir measured",  # it must pass on a busy machine, too
    "report measured/run.json --table summary",
)
EXAMINES = "doctor"
PREVENTED = 1  # of doctor, on a machine that cannot measure


def main(folder: Path) -> None:
    """Check the two files in ``folder``; exit with a sentence if one of them is wrong."""
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    tracked = _output("git", "ls-files", cwd=ROOT).splitlines()
    faults = [*sdist_faults(sdist, tracked), *wheel_faults(wheel, tracked)]
    if faults:
        sys.exit("\n".join(faults))
    with tempfile.TemporaryDirectory(prefix="googlenet-bench-") as name:
        use(wheel.resolve(), Path(name))


def sdist_faults(sdist: Path, tracked: Collection[str]) -> list[str]:
    """Say how the files of a source distribution differ from those that git tracks.

    Then it has everything that the tests and the documentation need.
    """
    with tarfile.open(sdist) as archive:
        names = {each.name.partition("/")[2] for each in archive if not each.isdir()}
    return _differences(sdist, names - {"PKG-INFO"}, set(tracked))


def wheel_faults(wheel: Path, tracked: Collection[str]) -> list[str]:
    """Say what is missing in a wheel or should not be there, and which links lead nowhere."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        _, _, description = archive.read(metadata).decode().partition("\n\n")
    expected = {
        name for name in tracked if name.startswith(IN_WHEEL) and not name.startswith(NOT_IN_WHEEL)
    }
    links = re.findall(r"\]\((?![a-z]+:)([^)]+)\)", description)
    return [
        *_differences(wheel, names, expected),
        *(f"{wheel.name}: the description links to {link}" for link in links),
    ]


def use(wheel: Path, folder: Path) -> None:
    """Install a wheel into a fresh environment, and run commands; exit if one of them fails."""
    python, there = folder / "venv" / "bin" / "python", folder / "there"
    program = str(python.with_name("googlenet-bench"))
    there.mkdir()
    shutil.copy(RUN_FILE, there)
    _run("uv", "venv", "--quiet", "--python", sys.executable, str(folder / "venv"), cwd=there)
    install = ("uv", "pip", "install", "--quiet", "--python", str(python))
    _run(*install, str(wheel), cwd=there)
    for command in WITHOUT_TORCH:
        _run(program, *command.split(), cwd=there)
    version = _output(program, "--version", cwd=there).strip()
    if version != wheel.name.split("-")[1]:
        sys.exit(f"{wheel.name} installs version {version}")
    _run(*install, f"{wheel}[measure]", cwd=there)
    for command in WITH_TORCH:
        _run(program, *command.split(), cwd=there)
    _run(program, EXAMINES, cwd=there, accepted=(0, PREVENTED))


def _differences(file: Path, names: set[str], expected: set[str]) -> list[str]:
    return [
        *(f"{file.name} lacks {name}" for name in sorted(expected - names)),
        *(f"{file.name} has {name}, which is not expected" for name in sorted(names - expected)),
    ]


def _run(*command: str, cwd: Path, accepted: Collection[int] = (0,)) -> None:
    """Run a command; exit with its output if its exit code is not an accepted one."""
    print("release:", *command, flush=True)
    ended = _ended(*command, cwd=cwd)
    if ended.returncode not in accepted:
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}")


def _output(*command: str, cwd: Path) -> str:
    ended = _ended(*command, cwd=cwd)
    if ended.returncode:
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def _ended(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as on another machine: without this checkout, and not as a job of GitHub."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GITHUB_", "PYTHON", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
