"""Every command of README and docs is executed, or if it takes minutes accepted and resolved.

Those that measure are executed with a tiny network in place of theirs, or collect their cells.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

import pytest_googlenet_bench
from bench import cli
from bench.api import best, pick, planning
from bench.api.best_request import BestRequest
from bench.api.measure_request import MeasureRequest
from bench.api.option import read_parsed
from bench.api.pick_request import PickRequest
from bench.exits import Exit
from bench.records.journal import Journal
from bench.studies.gpu import command as gpu
from bench.studies.gpu.step import GpuStep, StepResult
from tests.bench.records.test_journal import BEGAN
from tests.bench.suite.user_repository import git
from tests.docs.pages import ROOT, blocks, commands

Words = tuple[str, ...]
Capture = pytest.CaptureFixture[str]
COMMITTED = ROOT / "reports" / "cpu-amd-epyc-2-cores" / "run.json"
RUN_FILES = (
    *("A.json", "B.json", "RUN.json", "run.json", "before.json", "after.json"),
    "reports/MACHINE/run.json",
)
# Commands in prose that are not typed like this, with what is executed for them.
IN_FULL = {
    "googlenet-bench report": "googlenet-bench report RUN.json",
    "googlenet-bench report --table NAME": "googlenet-bench report RUN.json --table summary",
    "googlenet-bench report RUN --export NAME": "googlenet-bench report RUN.json --export bmf",
    "googlenet-bench report RUN.json --export NAME": "googlenet-bench report RUN.json --export bmf",
    "googlenet-bench stages … --report-dir": "googlenet-bench stages googlenet --report-dir inside",
    "googlenet-bench best": "googlenet-bench best torchvision:resnet18 --budget 300",
    "googlenet-bench export": "googlenet-bench export my_module:my_net --mode eager -o net.pt2",
    "googlenet-bench gate": "googlenet-bench gate --base origin/main",
    "googlenet-bench history": "googlenet-bench history list --last 10",
    "googlenet-bench pick": "googlenet-bench pick --from torchvision:* --max-latency 20ms",
    "googlenet-bench run OPTIONS": "googlenet-bench run --profile quick",
    "python3 -m nox -s bench -- OPTIONS": "python3 -m nox -s bench -- --profile quick",
    "python3 -m bench.gpu": "python3 -m bench.gpu reports/MACHINE",
}
TYPED = tuple(
    dict.fromkeys(
        tuple(IN_FULL[line].split()) if (line := " ".join(words)) in IN_FULL else words
        for words in commands()
    )
)
# In place of what takes minutes, or is not on every machine.
TINY = "my_module:my_net"
INSTEAD = {
    "googlenet": TINY,
    "torchvision": "path/to/file.py:my_net",
    "torchvision:*": TINY,
    "torchvision:resnet18": TINY,
    f"{TINY},torchvision:resnet18": f"{TINY},path/to/file.py:my_net",
    "20ms": "60s",
    "~/torch-2.14/bin/python": sys.executable,
}
OF_ANOTHER_PROGRAM = {("python", "nets/small.py")}  # what a name of a file is compared with


def typed(*starts: str) -> list[Words]:
    """Return the commands that begin with one of these."""
    return [words for words in TYPED if " ".join(words).startswith(starts)]


def named(*names: str) -> list[Words]:
    """Return the commands of this program with one of these names."""
    return [words for words in typed("googlenet-bench ") if words[1] in names]


FAST = named("archs", "modes", "cost", "table1", "report", "compare", "completion")
STATIC = [words for words in named("gate") if "--static" in words]
GATES = [words for words in named("gate") if "--static" not in words]
OF_SUITE = [*named("run"), *typed("python3 -m nox -s bench")]
OF_GATE = [*GATES, *typed("python3 -m nox -s gate ")]
OF_PYTEST = typed("python -m pytest ")
OF_SESSIONS = typed("python3 -m nox -s ", "nox -s ")
OF_MODULES = [
    words for words in typed("python -m ", "python3 -m ") if words[2] not in {"nox", "pip"}
]
OF_PIP = [words for words in TYPED if "pip" in words[:3]]
OF_FILES = typed("bash ", "pre-commit install")


def test_each_command_is_tested_here() -> None:
    tested = {
        *(
            *FAST,
            *named("doctor", "baseline", "stages", "pick", "best", "export", "history"),
            *STATIC,
            *OF_SUITE,
            *OF_GATE,
            *OF_PYTEST,
        ),
        *(*OF_SESSIONS, *OF_MODULES, *OF_PIP, *OF_FILES),
        *(*typed("check-jsonschema "), *typed("pytest ")),
    }
    assert set(TYPED) - tested == OF_ANOTHER_PROGRAM
    assert {tuple(line.split(" ")) for line in IN_FULL} <= set(commands())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with what the commands name: run files, networks, accuracies and a base."""
    folder = tmp_path_factory.mktemp("project")
    for name in RUN_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(COMMITTED, folder / name)
    (own,) = (
        block
        for block in blocks(ROOT / "docs" / "networks.md", "python")
        if block.startswith("# my_module.py")
    )
    for name in ("my_module.py", "path/to/file.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(own)
    (folder / "accuracies.csv").write_text(f"arch,accuracy\n{TINY},76.4\n")
    (folder / "pyproject.toml").write_text(
        f'[tool.googlenet-bench]\narchs = ["{TINY}"]\nmodes = ["eager", "compile"]\n'
        '[tool.googlenet-bench.gate]\nmodes = ["eager"]\n'
        f'[tool.googlenet-bench.accuracy]\n"{TINY}" = 76.4\n'
    )
    with Journal(folder / "journal.jsonl", on_error=lambda error: pytest.fail(str(error))) as file:
        file.append(BEGAN)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project as the current folder; the command line adds it to the search path."""
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return made


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", FAST, ids=" ".join)
def test_a_command_that_measures_nothing_is_executed(words: Words, capsys: Capture) -> None:
    assert cli.main(words[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_history_is_made_and_read(capsys: Capture) -> None:
    for words in sorted(named("history"), key=lambda words: words[2] != "add"):
        # A single run is too few for a verdict.
        expected = Exit.UNDECIDED if words[2] == "gate" else Exit.FINE
        assert cli.main(words[1:]) == expected
        assert capsys.readouterr().out


@pytest.mark.workers
def test_the_machine_is_examined(capsys: Capture) -> None:
    for words in named("doctor"):
        assert cli.main(words[1:]) in {Exit.FINE, Exit.FAILED}
        assert capsys.readouterr().out


@pytest.mark.workers
@pytest.mark.usefixtures("folder")
def test_counts_are_written_and_compared() -> None:
    for words in (*named("baseline"), *STATIC):
        assert cli.main(words[1:]) == 0


@pytest.mark.workers
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", named("stages"), ids=" ".join)
def test_stages_are_measured_of_a_tiny_network(words: Words, capsys: Capture) -> None:
    options = ("--sets=1", "--device=cpu", "--foreign-cpus=100", "--format=csv")
    assert cli.main([*instead(words[1:]), *options]) == 0
    assert TINY in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", named("pick"), ids=" ".join)
def test_a_choice_is_accepted(words: Words) -> None:
    options = cli.parser().parse_args(instead(words[1:]))
    request = read_parsed(PickRequest, options)
    plan = planning.make_plan(request.measured(MeasureRequest()), pick.DEFAULTS)
    assert TINY in {cell.arch for cell in plan.cells}
    assert request.limits().latency_s == 60.0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", named("best"), ids=" ".join)
def test_a_tournament_is_accepted(words: Words) -> None:
    options = cli.parser().parse_args(instead(words[1:]))
    request = read_parsed(BestRequest, options)
    shared = MeasureRequest(batch_sizes=options.batch_sizes and [1, 16])
    plan = planning.make_plan(request.measured(options.arch, shared), best.DEFAULTS)
    assert {cell.arch for cell in plan.cells} == {TINY}
    assert request.checked_modes("cpu") is None or "--modes" in words


@pytest.mark.parametrize("words", named("export"), ids=" ".join)
def test_a_tiny_network_is_exported(words: Words, folder: Path, capsys: Capture) -> None:
    namespace: dict[str, Any] = {}
    exec((folder / "my_module.py").read_text(), namespace)  # noqa: S102 - of docs/networks.md
    torch.save(namespace["my_net"]().state_dict(), folder / "trained.pt")
    assert cli.main([*instead(words[1:]), "--device=cpu", "--force", "--format=csv"]) == 0
    assert (folder / words[words.index("-o") + 1]).is_file()
    assert TINY in capsys.readouterr().out


def instead(words: Sequence[str]) -> list[str]:
    """Return words with those of ``INSTEAD`` replaced."""
    return [INSTEAD.get(word, word) for word in words]


def options_of(words: Words) -> list[str]:
    """Return what follows the command or the session of nox."""
    return list(words[2:] if words[0] == "googlenet-bench" else words[6:])


def collected(folder: Path, *arguments: str, path: Path = ROOT) -> str:
    """Collect without measuring, which reads every option; return what is collected."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--collect-only", "-q"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("options", list(map(options_of, OF_SUITE)), ids=" ".join)
def test_a_measuring_command_collects_its_cells(made: Path, options: list[str]) -> None:
    assert "test_cell[" in collected(made, "bench", "run", *options)


@pytest.mark.parametrize("options", list(map(options_of, OF_GATE)), ids=" ".join)
def test_a_gate_finds_its_base_and_collects_its_cells(made: Path, options: list[str]) -> None:
    found = collected(made, "bench", "gate", *instead(options))
    assert f"test_verdict[{TINY}/eager/" in found


@pytest.mark.parametrize("words", OF_PYTEST, ids=" ".join)
def test_pytest_collects_the_cells_of_an_installed_suite(words: Words, tmp_path: Path) -> None:
    installed = tmp_path / "installed"  # no conftest.py beside bench
    installed.mkdir()
    for package in ("bench", "googlenet"):
        (installed / package).symlink_to(ROOT / package)
    assert "test_cell[" in collected(tmp_path, *words[2:], path=installed)


@pytest.mark.parametrize("words", typed("python3 -m bench.gpu"), ids=" ".join)
def test_the_gpu_command_runs_up_to_its_steps(
    words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []

    def run_steps(steps: Sequence[GpuStep], *_: object) -> list[StepResult]:
        chosen.extend(step.name for step in steps)
        return []

    monkeypatch.setattr("bench.studies.gpu.step.run_steps", run_steps)
    monkeypatch.chdir(ROOT)
    arguments = [word.replace("reports/MACHINE", str(tmp_path)) for word in words[3:]]
    assert gpu.main([*arguments, "--device=cpu"]) == 0
    assert "tests" in chosen


@pytest.mark.parametrize("words", typed("check-jsonschema "), ids=" ".join)
def test_a_run_file_is_valid_by_the_schema_that_is_named(made: Path, words: Words) -> None:
    _, option, schema, *files = words
    assert option == "--schemafile"
    for file in files:
        jsonschema.validate(
            json.loads((made / file).read_text()), json.loads((ROOT / schema).read_text())
        )


def test_the_sessions_of_nox_exist() -> None:
    noxfile = (ROOT / "noxfile.py").read_text()
    for words in OF_SESSIONS:
        after = words[words.index("-s") + 1 :]
        sessions = after[: after.index("--")] if "--" in after else after
        assert [name for name in sessions if f"\ndef {name}(" not in noxfile] == []


def test_the_modules_that_python_runs_exist() -> None:
    for words in OF_MODULES:
        assert find_spec(words[2]) is not None, words


def test_the_extras_that_pip_installs_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    own = re.compile(r"^(?:\.|googlenet-bench)(?:\[(?P<extra>[\w-]+)\])?$")
    found = [match["extra"] for words in OF_PIP for word in words if (match := own.match(word))]
    assert found
    assert set(found) <= {*extras, None}


def test_the_other_programs_find_their_files_and_options() -> None:
    for _, file in typed("bash "):
        assert (ROOT / file).is_file()
    assert (ROOT / ".pre-commit-config.yaml").is_file()
    assert {words[1:] for words in typed("pytest ")} == {(pytest_googlenet_bench.OPTION,)}
