"""Every command of README and docs is accepted; those that measure nothing are run."""

import os
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from bench import cli
from tests.docs.pages import ROOT, blocks, commands

COMMITTED = ROOT / "reports" / "cpu-amd-epyc-2-cores" / "run.json"
RUN_FILES = (
    "A.json",
    "B.json",
    "RUN.json",
    "run.json",
    "before.json",
    "after.json",
    "reports/MACHINE/run.json",
)
PLACEHOLDERS = {"OPTIONS", "MACHINE"}
FAST = {"archs", "modes", "cost", "table1", "report", "compare", "completion"}


def of_program(*start: str) -> list[list[str]]:
    """Return the arguments of the commands that begin with these words, without duplicates.

    A redirection to a file is the shell's, not the command's.
    """
    found = [words[len(start) :] for _, words in commands() if tuple(words[: len(start)]) == start]
    typed = (tuple(takewhile(lambda word: word != ">", words)) for words in found)
    return [list(words) for words in dict.fromkeys(typed)]


def without_separator(words: list[str]) -> list[str]:
    return [word for word in words if word != "--"]


SUITE = [
    *(words[1:] for words in of_program("googlenet-bench") if words[0] == "run"),
    *map(without_separator, of_program("python3", "-m", "nox", "-s", "bench")),
]
OTHERS = [words for words in of_program("googlenet-bench") if words[0] not in {"run", "gate"}]
GATES = [
    *(words[1:] for words in of_program("googlenet-bench") if words[0] == "gate"),
    *map(without_separator, of_program("python3", "-m", "nox", "-s", "gate")),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the commands name: run files, and the module of docs/networks.md."""
    for name in RUN_FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(COMMITTED, tmp_path / name)
    (own,) = (
        block
        for block in blocks(ROOT / "docs" / "networks.md", "python")
        if block.startswith("# my_module.py")
    )
    (tmp_path / "my_module.py").write_text(own)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", SUITE, ids=" ".join)
def test_a_measuring_command_collects_its_cells(folder: Path, words: list[str]) -> None:
    options = [word for word in words if word not in PLACEHOLDERS]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", *options, "--collect-only", "-q"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_cell[" in done.stdout


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_a_command_is_accepted_and_run_if_it_measures_nothing(
    folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    if words[0] in FAST:
        assert cli.main(words) == 0
        assert capsys.readouterr().out
    else:
        accepted(words)


def accepted(words: list[str]) -> None:
    """Have the command line read the words, without running the command."""
    options, unknown = cli.parser().parse_known_args(words)
    assert callable(options.command)
    assert unknown == []


@pytest.mark.parametrize("words", GATES, ids=" ".join)
def test_a_gate_is_accepted(words: list[str]) -> None:
    options, unknown = cli.parser().parse_known_args(["gate", *words])
    assert callable(options.command)
    assert unknown == [] or options.passes_unknown


def test_the_sessions_of_nox_exist() -> None:
    sessions = {words[4] for _, words in commands() if words[:4] == ["python3", "-m", "nox", "-s"]}
    noxfile = (ROOT / "noxfile.py").read_text()
    assert sessions
    assert all(f"\ndef {session}(" in noxfile for session in sessions)
