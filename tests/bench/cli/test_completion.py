"""The scripts that ``completion`` prints: shells load them and complete."""

import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.api.profiles import PROFILES
from bench.cells import modes
from bench.cli import main, parser
from bench.cli.completion import FILES, FOLDERS, LISTS, SHELLS, SINGLE, actions, add_gate_options
from googlenet.variants import VARIANTS
from tests.limits import HANG_S

# What bash does at a press of the tab key: the words so far, the last of which may be empty.
TAB = """
source "$1"
shift
COMP_WORDS=(googlenet-bench "$@")
COMP_CWORD=$#
$(complete -p googlenet-bench | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""
NUMBERS = {
    *("batch_size", "batch_sizes", "image_size", "sets", "rounds", "precision", "budget"),
    *("foreign_cpus", "memory", "seed", "delta", "most_sets", "last", "level", "slurm_jobs"),
    *("max_latency", "min_accuracy", "max_params", "max_memory", "max_error"),
}
OTHERS = {
    "base": "a revision of git",
    "branch": "a branch of git",
    "cell": "a pattern",
    "input_shape": "the shape of an image",
    "labels": "names that the user makes up",
    "ray_address": "an address",
    "ray_labels": "names that the user makes up",
    "run_id": "the id of a run in a history",
    "slurm": "options of sbatch",
}


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    path = folder / f"completion.{shell}"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def stdout_of(*command: str, folder: Path) -> str:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG_S)
    assert ended.stderr == ""
    assert ended.returncode == 0
    return ended.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["doc"], ["doctor"]),
        (["cost", "googlenet-3"], [name for name in VARIANTS if name.startswith("googlenet-3")]),
        (["run", "--archs", "googlenet,torch"], ["googlenet,torchvision"]),
        (["run", "--modes", "eager,compile,channels"], ["eager,compile,channels_last"]),
        (["stages", "googlenet", "--mode", ""], list(modes.tokens())),
        (["run", "--profile", "qu"], ["quick"]),
        (["run", "--report"], ["--report-dir"]),
        (["run", "--report-dir", ""], ["reports"]),
        (["report", ""], ["reports", "run.json"]),
        (["gate", "--base", "main", "--most"], ["--most-sets"]),
        (["gate", "--static", "--baseline", "run"], ["run.json"]),
        (["completion", ""], list(SHELLS)),
        (["history", "ex"], ["export"]),
        (["history", "add", "run"], ["run.json"]),
        (["history", "trend", "--metric", "latency_p9"], ["latency_p90_s", "latency_p99_s"]),
        # bash splits words at = and at :.
        (["run", "--archs", "=", "torch"], ["torchvision"]),
        (["run", "--profile", "="], list(PROFILES)),
        (["run", "--archs", "a", ":", "b?c", "=", "2,torch"], ["b?c=2,torchvision"]),
        (["run", "--report-dir", "=", "rep"], ["reports"]),
        (["run", "--archs", "torchvision", ":", "alexnet,torch"], ["alexnet,torchvision"]),
        (["run", "--archs", "=", "torchvision", ":", "a,torch"], ["a,torchvision"]),
        (["run", "--archs", "my_nets", ":", "net", "--prof"], ["--profile"]),
    ],
)
def test_bash_completes(
    words: list[str], completed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script("bash", tmp_path, capsys)
    current = tmp_path / "current"
    (current / "reports").mkdir(parents=True)
    (current / "run.json").touch()
    found = stdout_of("bash", "-c", TAB, "bash", str(path), *words, folder=current).split()
    assert sorted(found) == sorted(completed)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("fish", tmp_path, capsys)
    tab = f"source {path}; complete -C 'googlenet-bench run --archs googlenet,torch'"
    found = stdout_of("fish", "--no-config", "-c", tab, folder=tmp_path)
    assert [line.split("\t")[0] for line in found.splitlines()] == ["googlenet,torchvision"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_its_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stdout_of("zsh", "-n", str(script("zsh", tmp_path, capsys)), folder=tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_registered_network_is_in_the_script(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, tmp_path, capsys).read_text(encoding="utf-8")
    for name in (*parser().commands.subparsers.choices, *VARIANTS):
        assert name in text


def test_each_option_with_a_value_is_completed_unless_its_values_are_unknown() -> None:
    commands = parser().commands
    add_gate_options(commands.subparsers.choices["gate"])
    with_value = {
        action.dest
        for action in actions(commands)
        if isinstance(action, argparse._StoreAction) and not action.choices
    }
    assert with_value == {*SINGLE, *LISTS, *FILES, *FOLDERS, *NUMBERS, *OTHERS}
