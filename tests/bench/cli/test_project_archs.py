"""Commands in a project whose settings name networks, in its folder and in a folder below."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import measure
from bench.api.progress import TerminalProgress
from bench.cli import main
from bench.pyproject import FILE
from bench.records import store
from bench.records.record import RunRecord
from bench.tables import terminal_console
from tests.bench.suite.user_repository import git, variables, verdicts
from tests.limits import HANG_S

OF_FILE, OF_MODULE = "nets/small.py:net", "my_nets:net"
IN_FILES = {"nets/small.py": 10, "my_nets.py": 20}
"""The width of the network in each file of the project."""
BELOW = 100
"""How much wider the networks of the same names in the folder below are."""
PARAMS = {name: 26 * width for name, width in zip((OF_FILE, OF_MODULE), (10, 20), strict=True)}
"""Parameters of networks that map 25 pixels to their width."""
NET = """
import torch


def net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(25, {width}))
"""
SETTINGS = f"""
[tool.googlenet-bench]
archs = ["{OF_FILE}", "{OF_MODULE}"]
modes = ["eager"]
batch-sizes = [2]
input-shape = "1x5x5"
foreign-cpus = 100
baseline = "counts.json"

[tool.googlenet-bench.gate]
archs = ["{OF_FILE}"]
delta = 0.9

[tool.googlenet-bench.accuracy]
"{OF_FILE}" = 70
"{OF_MODULE}" = 60
"""
PROGRAM = ("-P", "-c", "import sys; from bench.__main__ import main; sys.exit(main())")
SHORT = ("--device=cpu", "--sets=2", "--precision=1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Create a project; in a folder below it, other networks have the same names."""
    root = tmp_path / "project"
    for folder, more in ((root, 0), (root / "below", BELOW)):
        (folder / "nets").mkdir(parents=True)
        for name, width in IN_FILES.items():
            (folder / name).write_text(NET.format(width=width + more))
    (root / FILE).write_text(SETTINGS)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "networks")
    return root


def run(folder: Path, *arguments: str) -> str:
    """Run a command in a folder, as the installed program does, and return its output."""
    ended = subprocess.run(
        [sys.executable, *PROGRAM, *arguments],
        cwd=folder,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def counted(text: str) -> dict[str, int]:
    return {row["arch"]: row["params"] for row in json.loads(text)}


def measured(run: RunRecord) -> dict[str, int | None]:
    return {record.cell.arch: record.cost.params for record in run.cells if record.has_figures}


def test_without_names_the_project_s_networks_are_counted(project: Path) -> None:
    for folder in (project, project / "below"):
        assert counted(run(folder, "cost", "--format=json")) == PARAMS


def test_named_networks_win_and_are_looked_up_in_the_current_folder(project: Path) -> None:
    below = counted(run(project / "below", "cost", OF_FILE, OF_MODULE, "--format=json"))
    assert below == {name: count + 26 * BELOW for name, count in PARAMS.items()}
    rows = json.loads(run(project, "cost", "googlenet", "--image-size=64", "--format=json"))
    assert [(row["arch"], row["image_size"]) for row in rows] == [("googlenet", 64)]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("cost",), "no network is named: name one, or set archs of [tool.googlenet-bench] in"),
        (("stages",), "no network is named: name one, or set archs of [tool.googlenet-bench] in"),
        (("pick", "--max-latency=1s"), "or set archs of [tool.googlenet-bench] in pyproject.toml"),
    ],
)
def test_a_network_must_be_named_somewhere(
    command: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert message in capsys.readouterr().err


@pytest.mark.workers
def test_counts_are_compared_in_a_folder_below(project: Path) -> None:
    run(project, "baseline")
    assert (project / "counts.json").is_file()
    output = run(project / "below", "gate", "--static")
    assert "Nothing differs from ../counts.json" in " ".join(output.split())


@pytest.mark.workers
def test_a_run_in_a_folder_below_can_be_resumed_and_read_elsewhere(
    project: Path, tmp_path: Path
) -> None:
    """Only the journal is left of the first run, as after a kill."""
    report = tmp_path / "report"
    options = (*SHORT, "--rounds=2", "--no-ceiling", "--seed=1")
    code = (
        "from bench import measure; measure(project=True, device='cpu', sets=2, precision=1,"
        f"rounds=2, ceiling=False, seed=1, report_dir={str(report)!r})"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=variables(),
        check=True,
        capture_output=True,
        timeout=HANG_S,
    )
    run(project / "below", "run", *options, f"--report-dir={report}", "--resume")
    assert measured(store.read(report / "run.json")) == PARAMS
    shutil.rmtree(project)
    rows = csv.DictReader(io.StringIO(run(report, "report", "run.json", "--format=csv")))
    assert {row["arch"] for row in rows} == set(PARAMS)


@pytest.mark.workers
def test_a_gate_in_a_folder_below_compares_the_project_s_networks(project: Path) -> None:
    """The files of the folder below may be deleted, because no side looks there."""
    shutil.rmtree(project / "below" / "nets")
    (project / "nets" / "small.py").write_text(NET.format(width=IN_FILES["nets/small.py"] + 1))
    report = "--report-dir=../../report"
    run(project / "below", "gate", "--base=HEAD", "--device=cpu", "--rounds=3", report)
    assert verdicts(project) == {f"{OF_FILE}/eager/fp32/b2/infer/cpu": "unchanged"}
    gate = store.read(project.parent / "report" / "run.json")
    assert measured(gate) == {OF_FILE: PARAMS[OF_FILE] + 26}
    assert {record.cost.params for record in gate.bases} == {PARAMS[OF_FILE]}
    assert gate.code is not None
    assert gate.base_code is not None
    assert gate.code.digest != gate.base_code.digest


@pytest.mark.workers
def test_stages_of_the_project_s_networks_are_measured(project: Path) -> None:
    rows = json.loads(run(project / "below", "stages", "--device=cpu", "--sets=2", "--format=json"))
    macs = {row["arch"]: row["macs"] for row in rows if row["stage"] == "(whole)"}
    assert macs == {OF_FILE: 25 * 10, OF_MODULE: 25 * 20}


@pytest.mark.workers
def test_the_choice_is_among_the_project_s_networks(project: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    run(project / "below", "pick", "--max-latency=10s", *SHORT, f"--report-dir={report}")
    chosen = store.read(report / "run.json")
    # Every candidate is counted. On a busy machine one may be too slow for the final run.
    with (report / "pick.csv").open(encoding="utf-8") as file:
        counted = {row["arch"]: int(float(row["params"])) for row in csv.DictReader(file)}
    assert counted == PARAMS
    assert measured(chosen).items() <= counted.items()
    assert measured(chosen)
    assert {record.cell.batch_size for record in chosen.cells} == {2}


@pytest.mark.workers
def test_a_call_reads_the_settings_only_if_it_is_told_to(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "below")
    before = dict(os.environ), list(sys.path)
    result = measure(
        project=True,
        archs=None,
        modes=["channels_last"],
        device="cpu",
        sets=2,
        rounds=2,
        precision=1.0,
        ceiling=False,
        progress=TerminalProgress(terminal_console(stderr=True)),
    )
    assert measured(result.record) == PARAMS
    assert {record.cell.mode for record in result.record.cells} == {"channels_last"}
    assert str(result.record.plan.command).startswith("measure(modes=['channels_last'], ")
    assert (dict(os.environ), sys.path) == before
