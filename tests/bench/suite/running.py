"""Runs of the suite in their own processes, as users start them."""

import os
import subprocess
import sys
from pathlib import Path

from bench.signals import restore_interrupts
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[3]
WORKS = "tests.bench.broken:works"
# Its rounds are longer than the resolution at which other processes' CPU time is counted.
SLOW = "tests.bench.broken:slow"
BROKEN = "tests.bench.broken:raises_when_warmed_up"


def command(*options: str) -> list[str]:
    """Return the suite's command, which voids no round even if the test machine is busy."""
    always = ("-p", "no:cacheprovider", "--foreign-cpus=100", "--precision=1", "--no-ceiling")
    return [sys.executable, "-m", "pytest", "bench/suite", *always, *options]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    # Python's default: what a process prints into a pipe waits in its buffer.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command(*options),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def started(folder: Path, *options: str, python: str = "") -> "subprocess.Popen[str]":
    """Start a run of a network that works, in its own process group, as from a terminal."""
    return subprocess.Popen(
        [
            python or sys.executable,
            *command(f"--archs={WORKS}", "--modes=eager", f"--report-dir={folder}", *options)[1:],
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=restore_interrupts,
    )


def await_line(process: "subprocess.Popen[str]", words: str) -> None:
    """Read the process's stderr up to a line with these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"the process ended without {words!r}")


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
