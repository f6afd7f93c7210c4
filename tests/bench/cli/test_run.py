"""The command ``run``, in a folder that is no checkout."""

import multiprocessing
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from bench.api.measure_request import MeasureRequest
from bench.api.option import declared, flag, read
from bench.cli import main, parser
from bench.records import store
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[3]
NET = """
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))


build.image_size = 8
"""
# Importing pytest and pandas takes seconds; a forked process has them.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.bench.cli.test_run", "bench.suite.conftest"])
SHORT = ("--sets=2", "--rounds=2", "--precision=1", "--no-ceiling", "--foreign-cpus=100")


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "run", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def run_forked(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that has pytest and pandas already."""
    out, err = folder.parent / f"{folder.name}-out", folder.parent / f"{folder.name}-err"
    process = PROCESSES.Process(target=_main, args=(folder, options, out, err))
    process.start()
    process.join(HANG_S)
    assert process.exitcode is not None
    return subprocess.CompletedProcess((), process.exitcode, out.read_text(), err.read_text())


def _main(folder: Path, options: tuple[str, ...], out: Path, err: Path) -> None:
    for descriptor, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.chdir(folder)
    sys.exit(main(["run", *options]))


@pytest.mark.workers
def test_a_network_of_ones_own_is_measured_in_any_folder(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET, encoding="utf-8")
    ended = run(tmp_path, "--archs=mynet:build", "--modes=eager", "--device=cpu", *SHORT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (run_file,) = (tmp_path / "reports").glob("*/run.json")
    assert f"wrote {run_file}" in ended.stdout
    record = store.read(run_file)
    assert {cell.cell.arch for cell in record.cells} == {"mynet:build"}
    assert record.ceilings == {}  # --no-ceiling was passed on
    assert record.plan.command is not None
    assert record.plan.command.startswith("googlenet-bench run --archs=mynet:build ")
    assert str(tmp_path) not in record.plan.command
    assert record.cells[0].cost.macs_per_image == 3 * 8 * 8 * 10


@pytest.mark.workers
def test_operators_are_profiled_and_reported(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET, encoding="utf-8")
    options = ("--archs=mynet:build", "--modes=eager", "--device=cpu", "--operators")
    ended = run(tmp_path, *options, *SHORT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (folder,) = (tmp_path / "reports").iterdir()
    record = store.read(folder / "run.json")
    assert record.plan.operators
    assert record.plan.command is not None
    assert "--operators" in record.plan.command
    assert "aten::addmm" in (folder / "operators.csv").read_text()
    report = (folder / "report.md").read_text()
    assert "## What holds the rest" in report
    assert "| aten::addmm" in report
    assert list((folder / "charts").glob("operators-*.svg"))


def test_the_project_s_table_says_what_is_measured(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        """[tool.googlenet-bench]\narchs = ["mynet:build"]\nmodes = ["eager"]\n"""
        """input-shape = [1, 8, 8]\n[tool.googlenet-bench.gate]\nmodes = ["compile"]\n"""
    )
    ended = run_forked(tmp_path, "--device=cpu", "--batch-sizes=2", "--collect-only", "-q")
    assert "[mynet:build/eager/fp32/b2/infer/cpu]" in ended.stdout
    assert "1 test collected" in ended.stdout
    ended = run_forked(tmp_path, "--device=cpu", "--profile=quick", "--collect-only", "-q")
    assert "6 tests collected" in ended.stdout
    (tmp_path / "pyproject.toml").write_text("[tool.googlenet-bench]\nimage_size = 8\n")
    ended = run_forked(tmp_path)
    assert ended.returncode == 2
    assert "[tool.googlenet-bench]: Object contains unknown field `image_size`" in ended.stderr


@pytest.mark.workers
def test_a_cell_that_fails_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET.replace("8 * 8, 10", "9 * 9, 10"), encoding="utf-8")
    ended = run(tmp_path, "--archs=mynet:build", "--modes=eager", "--device=cpu", *SHORT)
    assert ended.returncode == 1
    assert "mat1 and mat2 shapes cannot be multiplied" in ended.stdout
    assert "made for images of another size, select it with --image-size" in ended.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--archs=gogglenet",), "did you mean 'googlenet'?"),
        (("--sets=0",), "--sets must be at least 1, not 0"),
        (("--no-such-option",), "unrecognized argument: --no-such-option"),
        (("-k",), "argument -k: expected one argument"),
        (("bogus",), "unrecognized argument: bogus; --archs, --modes and -k select what is"),
        (("-n2", "-k", "eager"), "pytest-xdist is enabled"),
        (("--archs=mynet:bild",), "mynet.py defines no such name; did you mean 'mynet:build'?"),
        (("--archs=mynot:build",), "cannot import 'build' from 'mynot': there is no such module"),
    ],
)
def test_a_wrong_request_is_one_sentence_before_the_session(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "mynet.py").write_text(NET, encoding="utf-8")
    ended = run_forked(tmp_path, *options)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("googlenet-bench: ")
    assert ended.stderr.count("\n") == 1
    assert message in ended.stderr


@pytest.mark.workers
def test_a_refusal_by_a_worker_is_a_sentence_without_the_lines_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text("weights = {}['weights']\ndef build(): ...\n")
    ended = run(tmp_path, "--archs=mynet:build", "--modes=eager", "--device=cpu", *SHORT)
    assert ended.returncode == 2
    assert "\ngooglenet-bench: importing mynet raised KeyError: 'weights'\n" in ended.stderr
    for line in ("Exit", "no tests ran", "configfile", "benchmark: "):
        assert line not in ended.stdout + ended.stderr
    assert ended.stdout.endswith("\n")


def test_a_format_is_refused_with_the_command_that_has_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "--format", "csv"]) == 2
    assert "use googlenet-bench report RUN --format csv" in capsys.readouterr().err


def test_help_lists_every_option_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    options = declared(MeasureRequest)
    titles = list(dict.fromkeys(each.group for each in options.values()))
    assert len(titles) == 4
    starts = [text.index(f"\n{title}:\n") for title in titles]
    assert starts == sorted(starts)
    ends = dict(zip(titles, [*starts[1:], text.index("\nexamples:")], strict=True))
    for name, each in options.items():
        shown = text[text.index(f"\n{each.group}:\n") : ends[each.group]]
        assert f"\n  {flag(name)}" in shown


def test_the_examples_of_the_help_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    program = "    googlenet-bench "
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(program)]
    assert len(lines) == 5
    for line in lines:
        parsed, unknown = parser().parse_known_args(shlex.split(line)[1:])
        assert unknown == []
        read(MeasureRequest, partial(getattr, parsed))


def test_pytest_says_how_to_load_the_options_of_an_installed_suite(tmp_path: Path) -> None:
    def pytest_in_empty_folder(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "--pyargs", "bench.suite", "--co", "-q", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_S,
        )

    installed = tmp_path.parent / f"{tmp_path.name}-installed"  # no conftest.py beside bench
    installed.mkdir()
    for package in ("bench", "googlenet"):
        (installed / package).symlink_to(ROOT / package)
    ended = pytest_in_empty_folder()
    assert ended.returncode == 2
    assert "add -p bench.suite.plugin to pytest's options" in ended.stdout + ended.stderr
    cells = ("--archs=googlenet", "--modes=eager", "--device=cpu", "--batch-sizes=1")
    ended = pytest_in_empty_folder("-p", "bench.suite.plugin", *cells)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "googlenet/eager/fp32/b1/infer/cpu" in ended.stdout
