"""End-to-end tests of the gate, in a user's repository with networks that sleep."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.gate.tree import PREFIX
from tests.bench.suite.user_repository import (
    CELL,
    DELTA,
    ROOT,
    SECONDS,
    git,
    variables,
    verdicts,
    write_net,
)
from tests.limits import HANG_S

pytestmark = pytest.mark.workers


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create a repository with a committed network."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet")
    write_net(root)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "a network")
    return root


def command(repository: Path, *options: str) -> list[str]:
    """Return the gate's command, which voids no round even if the test machine is busy."""
    arguments = ["--archs=nets:sleeper", "--modes=eager", "--rounds=3", "--foreign-cpus=100"]
    arguments += [] if any("--delta" in option for option in options) else [f"--delta={DELTA}"]
    folder = f"--report-dir={repository.parent / 'report'}"
    return [sys.executable, "-m", "bench", "gate", *arguments, folder, *options]


def run_gate(repository: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(repository, *options),
        cwd=repository,
        env=variables(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def no_worktree_is_left(repository: Path) -> bool:
    return PREFIX not in git(repository, "worktree", "list")


def test_an_uncommitted_slowdown_fails_and_is_reported_to_github(
    repository: Path, tmp_path: Path
) -> None:
    write_net(repository, seconds=2 * SECONDS)
    summary = tmp_path / "summary.md"
    ended = run_gate(
        repository,
        "--base=HEAD",
        f"--junitxml={tmp_path / 'junit.xml'}",
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert verdicts(repository) == {CELL: "regressed"}
    assert f"::error title=googlenet-bench {CELL}::regressed: head takes" in ended.stdout
    assert "1 regressed" in summary.read_text()
    assert "regressed: head takes" in (tmp_path / "junit.xml").read_text()
    assert "Traceback" not in ended.stdout + ended.stderr
    assert no_worktree_is_left(repository)


def test_adding_a_comment_is_unchanged(repository: Path) -> None:
    with (repository / "nets.py").open("a") as file:
        file.write("# as fast as before\n")
    ended = run_gate(repository, "--base=HEAD")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert verdicts(repository) == {CELL: "unchanged"}
    report = (repository.parent / "report/gate.md").read_text()
    assert "with uncommitted changes against base" in report


def test_the_suite_s_own_repository_can_be_gated(repository: Path) -> None:
    """There, the measuring code is part of the measured tree."""
    for name in ("bench", "googlenet"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, repository / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", repository)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "the suite")
    with (repository / "nets.py").open("a") as file:
        file.write("# as fast as before\n")
    ended = run_gate(repository, "--base=HEAD", PYTHONPATH=str(repository))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert verdicts(repository) == {CELL: "unchanged"}


def test_an_additional_parameter_is_reported_with_the_verdict(repository: Path) -> None:
    write_net(repository, classes=1001)
    run_gate(repository, "--base=HEAD", "--most-sets=6")
    assert "params 4,000 → 4,004 (+0.1%)" in (repository.parent / "report/gate.md").read_text()


@pytest.mark.parametrize(("options", "code"), [((), 3), (("--allow-inconclusive",), 0)])
def test_a_base_whose_network_cannot_be_imported_is_inconclusive(
    repository: Path, options: tuple[str, ...], code: int
) -> None:
    (repository / "nets.py").write_text("import nothing_like_it\n")
    git(repository, "commit", "--all", "--quiet", "--message", "broken")
    write_net(repository)
    ended = run_gate(repository, "--base=HEAD", *options)
    output = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode == code, output
    report = json.loads((repository.parent / "report/gate.json").read_text())
    assert report["exit_code"] == 3
    assert verdicts(repository) == {CELL: "inconclusive"}
    page = (repository.parent / "report/gate.md").read_text()
    assert "gate: 1 inconclusive" in page
    assert "❔ inconclusive: base failed" in page
    assert "1 skipped" in output
    assert "inconclusive: base failed while preparing" in output
    assert f"{CELL}/base while preparing: cannot import 'sleeper' from 'nets'" in output
    assert "nothing_like_it" in output
    assert "Traceback" not in output
    assert no_worktree_is_left(repository)


def test_a_head_whose_network_cannot_be_imported_fails(repository: Path) -> None:
    (repository / "nets.py").write_text("import nothing_like_it\n")
    ended = run_gate(repository, "--base=HEAD")
    output = ended.stdout + ended.stderr
    assert ended.returncode == 2, output
    assert "cannot import 'sleeper' from 'nets'" in output
    assert "Traceback" not in output


def test_a_project_in_a_folder_of_its_repository_is_gated_from_there(repository: Path) -> None:
    """Its file of settings and its network are found in that folder of both trees."""
    project = repository / "projects" / "one"
    project.mkdir(parents=True)
    (repository / "nets.py").rename(project / "own.py")
    (project / "pyproject.toml").write_text(
        '[tool.googlenet-bench]\narchs = ["own.py:sleeper"]\nmodes = ["eager"]\n'
    )
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "in a folder")
    options = ("--base=HEAD", "--rounds=3", "--foreign-cpus=100", f"--delta={DELTA}")
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "gate", *options],
        cwd=project,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "own.py:sleeper" in ended.stdout
    assert [*project.glob("reports/*/gate/gate.md")]


def test_head_s_code_is_not_run_as_the_base(repository: Path) -> None:
    git(repository, "rm", "--cached", "--quiet", "nets.py")
    git(repository, "commit", "--allow-empty", "--quiet", "--message", "without the network")
    # Like an editable install, this path finds head's module, which the base lacks.
    ended = run_gate(repository, "--base=HEAD", PYTHONPATH=f"{ROOT}{os.pathsep}{repository}")
    output = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode == 3, output
    assert "which is head's" in output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--base=nonsense",), "git does not know revision 'nonsense'"),
        (("--base=",), "--base is empty"),
        (("--base=HEAD", "-k", "nothing"), "deselected"),
        ((), "name what to compare with"),
        (("--basetemp=somewhere",), "name what to compare with"),
        (("--base-python=/no/such/python",), "--base-python /no/such/python is not an interpreter"),
        (("--base=HEAD", "--precision=0.1"), "--precision cannot be combined with a gate"),
        (("--base=HEAD", "--energy"), "--energy cannot be combined with a gate"),
        (("--base=HEAD", "--ceiling"), "--ceiling cannot be combined with a gate"),
        (("--base=HEAD", "--delta=2"), "the least effect must be between 0 and 1"),
        (("--base=HEAD", "--most-sets=2"), "from 6 to 16, not 2"),
    ],
)
def test_an_invalid_request_exits_with_a_message(
    repository: Path, options: tuple[str, ...], sentence: str
) -> None:
    ended = run_gate(repository, *options)
    assert ended.returncode == 2
    assert sentence in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert no_worktree_is_left(repository)


def test_another_interpreter_can_be_the_base(repository: Path, tmp_path: Path) -> None:
    other_python = tmp_path / "python"
    other_python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other_python.chmod(0o755)
    ended = run_gate(repository, f"--base-python={other_python}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert str(other_python) in (repository.parent / "report/gate.md").read_text()


def test_an_interrupt_leaves_a_partial_report_and_no_worktree(repository: Path) -> None:
    process = subprocess.Popen(
        command(repository, "--base=HEAD", "--rounds=1000"),
        cwd=repository,
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    journal = repository.parent / "report/journal.jsonl"
    for _ in range(int(HANG_S / 0.1)):
        if journal.exists() and journal.read_text().count("RoundEnded") > 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == 2, output
    report = json.loads((repository.parent / "report/gate.json").read_text())
    assert report["exit_code"] == 3
    assert no_worktree_is_left(repository)
