"""The GitHub action: its script passes the inputs on, and the gate's exit code."""

import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PROGRAM = '#!/bin/sh\necho "$@"\nexit {code}\n'


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_script_runs_the_gate_and_ends_with_its_exit_code(tmp_path: Path, code: int) -> None:
    action = (ROOT / "action.yml").read_text()
    script = textwrap.dedent(action.partition("run: |\n")[2].partition("    - name: ")[0])
    program = tmp_path / "googlenet-bench"
    program.write_text(PROGRAM.format(code=code))
    program.chmod(0o755)
    ended = subprocess.run(
        ["/bin/bash", "-e", "-o", "pipefail", "-c", script],  # as GitHub runs it
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "BASE": "origin/main",
            "NEUTRAL": "--allow-inconclusive",
            "OPTIONS": "--delta=0.1 --device=cpu",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    words = "gate --base origin/main --allow-inconclusive --delta=0.1 --device=cpu"
    assert ended.stdout.split() == words.split()
    assert (tmp_path / "output").read_text() == f"exit-code={code}\n"
