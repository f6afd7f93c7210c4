"""The GitHub action: its scripts pass the inputs on, and the gate's exit code."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT

PROGRAM = '#!/bin/sh\necho "$@"\nexit {code}\n'


@pytest.fixture(scope="module")
def action() -> Any:
    """Read action.yml."""
    return yaml.safe_load((ROOT / "action.yml").read_text())


def _run(
    action: Any, step: int, folder: Path, program: str, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the script of a step with a stand-in for the program that it calls."""
    path = folder / program
    path.write_text(PROGRAM.format(code=code))
    path.chmod(0o755)
    defaults = {"BASE": "origin/main", "NEUTRAL": "--allow-inconclusive", "OPTIONS": ""}
    output = {"PATH": f"{folder}:/usr/bin:/bin", "GITHUB_OUTPUT": str(folder / "output")}
    return subprocess.run(
        # As GitHub runs it.
        ["/bin/bash", "-e", "-o", "pipefail", "-c", action["runs"]["steps"][step]["run"]],
        cwd=folder,
        env={**output, **defaults, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_script_runs_the_gate_and_ends_with_its_exit_code(
    action: Any, tmp_path: Path, code: int
) -> None:
    """A ``*`` in an option is not replaced by the names of files, here all that are there."""
    options = "--archs=* --delta=0.1 *"
    ended = _run(action, 1, tmp_path, "googlenet-bench", code, OPTIONS=options)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == f"gate --base origin/main --allow-inconclusive {options}\n"
    assert (tmp_path / "output").read_text() == f"exit-code={code}\n"


@pytest.mark.parametrize("base", ["", "origin/"])
def test_an_event_without_a_base_is_refused_in_a_sentence(
    action: Any, tmp_path: Path, base: str
) -> None:
    ended = _run(action, 1, tmp_path, "googlenet-bench", BASE=base)
    assert ended.returncode == 2
    assert ended.stdout.startswith("::error::There is no base to compare with: ")
    assert (tmp_path / "output").read_text() == "exit-code=2\n"


@pytest.mark.parametrize("index", ["", "https://index"])
def test_torch_comes_from_the_index_that_is_set(action: Any, tmp_path: Path, index: str) -> None:
    ended = _run(action, 0, tmp_path, "python", ACTION="/action", INDEX=index)
    assert ended.returncode == 0, ended.stderr
    *first, last = ended.stdout.splitlines()
    assert first == ([f"-m pip install torch torchvision --index-url {index}"] if index else [])
    assert last == "-m pip install googlenet-bench[measure] @ file:///action"


def test_each_input_is_described_and_read(action: Any) -> None:
    text = (ROOT / "action.yml").read_text()
    for name, declared in action["inputs"].items():
        assert declared["description"]
        assert f"inputs.{name} " in text
