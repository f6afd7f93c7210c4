"""The workflow of the history: its scripts keep a branch with every run, and comment the trend."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import git
from bench.records import store
from tests.bench.history import made
from tests.docs.pages import ROOT
from tests.limits import HANG_S
from tests.warm import client

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/history.yml").read_text())
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["history"]["steps"] if "name" in step}
# Measuring takes minutes, so the stand-in copies a run file. Every other command is the real one.
PROGRAM = """\
#!/bin/sh
if [ "$1" = run ]; then mkdir -p "$5" && cp "$RUN_FILE" "$5/run.json"; exit; fi
PYTHONPATH={root} exec {python} -m bench "$@"
"""


class Runner:
    """A repository with an origin, and a runner that executes the workflow's scripts in clones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = folder / "origin.git"
        programs = folder / "programs"
        programs.mkdir()
        texts = {
            "googlenet-bench": PROGRAM.format(
                root=shlex.quote(str(ROOT)), python=shlex.quote(sys.executable)
            ),
            "gh": '#!/bin/sh\necho "$@" > "$GITHUB_STEP_SUMMARY.gh"\n',
        }
        for name, text in texts.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.path = f"{programs}:/usr/bin:/bin"
        self.shell("git init --quiet --bare --initial-branch main origin.git", folder)
        self.shell("git clone --quiet origin.git first && cd first && echo 1 > a", folder)
        identity = "-c user.name=x -c user.email=x@localhost"
        self.shell(f"git add a && git {identity} commit -qm a && git push -q", folder / "first")

    def shell(self, script: str, folder: Path, **variables: str) -> None:
        ended = subprocess.run(
            ["/bin/bash", "-e", "-o", "pipefail", "-c", script],  # as GitHub runs it
            cwd=folder,
            env={
                "PATH": self.path,
                "HOME": str(self.folder),
                "COLUMNS": "200",
                **client.early(dict(os.environ)),  # otherwise every process is a cold one
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}"

    def run(self, event: str, day: int) -> Path:
        """Run the steps of an event in a fresh clone, which measures the run of a day."""
        clone = self.folder / f"{event}-{day}"
        self.shell(f"git clone --quiet origin.git {clone.name}", self.folder)
        run_file = self.folder / f"run-{day}.json"
        store.write(made.run(day), run_file)
        variables = {
            **WORKFLOW["env"],
            "RUN_FILE": str(run_file),
            "GITHUB_STEP_SUMMARY": str(clone / "summary"),
            "GITHUB_SHA": "1" * 40,
            "NUMBER": "7",
        }
        for step in STEPS.values():
            if event in step.get("if", event):
                folder = clone / step.get("working-directory", ".")
                self.shell(step["run"], folder, **variables)
        return clone


@pytest.mark.timeout(HANG_S)
def test_runs_of_main_are_kept_and_the_trend_is_commented_on_a_change(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    first = runner.run("push", 0)
    assert (first / ".history/history.html").exists()
    kept = git.text(runner.origin, "rev-parse", "history")
    changed = runner.run("pull_request", 1)
    comment = (changed / "trend.md").read_text()
    assert (changed / "summary").read_text() == comment
    assert "googlenet/eager/fp32/b1/infer/cpu" in comment
    assert re.search(r"\| +2 \|", comment)  # runs: that of main, and that of the change
    assert (changed / "summary.gh").read_text().startswith("pr comment 7 --body-file trend.md")
    assert git.text(runner.origin, "rev-parse", "history") == kept
    assert git.text(runner.origin, "rev-list", "--count", "history") == "1"


def test_what_the_workflow_may_do_is_little() -> None:
    allowed: dict[str, Any] = WORKFLOW["permissions"]
    assert allowed == {"contents": "write", "pull-requests": "write"}
    assert "pull_request_target" not in WORKFLOW[True]  # YAML reads `on` as true
