"""Requests that cannot be met end with a sentence, before anything is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.suite.running import ROOT, WORKS, command, contents, run
from tests.limits import HANG_S

pytestmark = pytest.mark.workers


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--archs", "googlnet"], "no arch is called 'googlnet'; did you mean 'googlenet'?"),
        (["--archs", "tests.bench.broken:work"], "did you mean 'tests.bench.broken:works'?"),
        (["--modes", "compile+eager+x"], "no mode token is called 'x'"),
        (["--batch-sizes", "0"], "at least one image, not 0"),
        (["--delta", "0.1"], "--delta applies only to a gate: name the base with --base"),
        (["--most-sets", "9"], "--most-sets applies only to a gate"),
    ],
)
def test_an_invalid_request_exits_with_a_one_line_message(options: list[str], words: str) -> None:
    refused = run(*options)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout
    assert len(refused.stderr.strip().splitlines()) == 1


def test_several_processes_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    ended = run("--profile=quick", "-n", "2", f"--report-dir={tmp_path / 'reports'}")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest-xdist is enabled (-n, or --dist with --tx)" in ended.stderr
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(("options", "name"), [([], "report.md"), (["--base=HEAD"], "gate.md")])
def test_a_report_folder_with_the_user_s_own_files_is_refused(
    tmp_path: Path, options: list[str], name: str
) -> None:
    (tmp_path / name).write_text("mine\n")
    refused = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/suite", *options, f"--report-dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"contains {name}, which a run would replace or remove" in refused.stderr
    assert contents(tmp_path) == {name: b"mine\n"}


def test_a_selection_without_cells_exits_with_a_message(tmp_path: Path) -> None:
    refused = run("--profile=quick", f"--report-dir={tmp_path / 'report'}", "-k", "nosuch")
    assert refused.returncode == 2
    message = (
        "none of the 6 cells is selected; cell ids look like googlenet/eager/fp32/b1/infer/cpu"
    )
    assert message in refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
    assert not (tmp_path / "report").exists()


def test_a_missing_cuda_device_exits_with_a_message() -> None:
    from bench.machine import driver

    if driver.devices():
        pytest.skip("this machine has a CUDA device")
    refused = run("--device", "cuda")
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--device cpu needs none" in refused.stderr


def test_an_interpreter_that_cannot_run_gives_a_message(tmp_path: Path) -> None:
    not_executable = tmp_path / "python"
    not_executable.write_text("")
    _, _, *arguments = command(f"--archs={WORKS}", f"--report-dir={tmp_path / 'report'}")
    program = (
        f"import sys, pytest; sys.executable = {str(not_executable)!r}; sys.exit(pytest.main({{}}))"
    )
    refused = subprocess.run(
        [sys.executable, "-c", program.format(arguments[1:])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert f"cannot run {not_executable} as an interpreter: Permission denied" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr


def test_a_request_that_only_a_worker_can_refuse_exits_with_a_message(tmp_path: Path) -> None:
    refused = run("--archs=tests.bench.broken:needs_an_argument", f"--report-dir={tmp_path}")
    assert refused.returncode == 2
    assert "needs_an_argument() raised TypeError" in refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
    assert list(tmp_path.iterdir()) == []
