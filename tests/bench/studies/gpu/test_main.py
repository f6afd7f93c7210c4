import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench import cli
from bench.launch.launchers import ROOT
from bench.studies.gpu import command as gpu
from bench.studies.gpu import compiling, step
from bench.studies.gpu.step import GRACE_S, GpuStep, StepResult
from bench.studies.gpu.steps import MARK, PYTEST, TESTS, gpu_test_files, steps
from bench.studies.selfcheck import command as selfcheck
from tests.bench import rehearsal
from tests.bench.studies.gpu.test_step import WRITES_LATE

Capture = pytest.CaptureFixture[str]


def steps_by_name(device: str, folder: Path = Path("reports/here")) -> dict[str, GpuStep]:
    return dict(steps(device, folder))


def test_the_limits_of_all_steps_fit_in_the_total_limit() -> None:
    assert sum(each.limit_s for each in steps_by_name("cuda").values()) + GRACE_S <= gpu.LIMIT_S


def test_the_default_profile_runs_in_each_precision_of_the_device() -> None:
    assert "--dtypes=fp32,tf32,bf16" in steps_by_name("cuda")["default"].arguments
    assert "--dtypes=fp32,bf16" in steps_by_name("cpu")["default"].arguments


def test_only_files_with_gpu_tests_are_run(tmp_path: Path) -> None:
    """A file that the machine cannot import, a browser's for example, would stop the session."""
    (tmp_path / "deep").mkdir()
    for name, text in {"test_a": f"@{MARK}", "deep/test_b": f"@{MARK}", "test_c": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
    expected = [str(tmp_path / "deep/test_b.py"), str(tmp_path / "test_a.py")]
    assert list(gpu_test_files(tmp_path)) == expected
    (tmp_path / "test_subject.py").write_text(f"@{MARK}")
    assert gpu_test_files(tmp_path)[0] == str(tmp_path / "test_subject.py")
    assert gpu_test_files(tmp_path / "nothing") == (str(tmp_path / "nothing"),)
    files = gpu_test_files(ROOT / TESTS)
    assert str(ROOT / "tests/bench/worker/test_clock.py") in files
    assert not any("in_browser" in file for file in files)


def test_a_library_s_warning_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_warns.py").write_text(
        "import warnings\ndef test(): warnings.warn('is deprecated', FutureWarning)"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error")
    command = [sys.executable, *PYTEST, str(tmp_path)]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


# Runs pytest once per list of arguments, in forks of one process that has imported torch.
FORKS = """
import json, os, sys
import pytest, torch
codes = {}
for name, arguments in json.loads(sys.argv[1]).items():
    child = os.fork()
    if not child:
        sys.exit(pytest.main(arguments))
    codes[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(codes))
"""
ON_PYTEST = ("tests", "default", "sweep", "energy")


@pytest.fixture(scope="module", params=["cuda", pytest.param("cpu", marks=pytest.mark.slow)])
def collected(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, int], str]:
    """Collect each step's tests without running them; return the exit codes and the output.

    Of the GPU's tests, only the first file is collected: the others are known to be, from this run.
    """
    by_name = steps_by_name(request.param, tmp_path_factory.mktemp("steps"))
    arguments = {name: by_name[name].arguments_within(50.0) for name in ON_PYTEST}
    assert all(each[:2] == ("-m", "pytest") for each in arguments.values())
    _, *further = gpu_test_files(Path(TESTS))
    options = {
        name: [*(each for each in given[2:] if each not in further), "--collect-only", "-q"]
        for name, given in arguments.items()
    }
    ended = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps(options)],
        cwd=ROOT,
        env=rehearsal.environment() if request.param == "cuda" else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1]), ended.stdout


@pytest.mark.parametrize("name", ON_PYTEST)
def test_pytest_accepts_the_arguments_of_the_steps(
    name: str, collected: tuple[dict[str, int], str]
) -> None:
    """An unknown or invalid option makes a collection fail."""
    codes, output = collected
    assert codes[name] == 0, output


def test_other_commands_accept_the_arguments_of_the_steps() -> None:
    by_name = steps_by_name("cpu")
    stages = cli.parser().parse_args(by_name["stages"].arguments[2:])
    assert stages.arch == ["googlenet", "torchvision"]
    assert cli.parser().parse_args(by_name["reports"].arguments[2:]).run == [
        Path("reports/here/run.json")
    ]
    assert compiling._parser().parse_args(by_name["compile"].arguments[2:]).device == "cpu"
    assert selfcheck._parser().parse_args(by_name["clocks"].arguments[2:]).parts == "bias"


def test_the_page_lists_the_steps_of_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(step, "MIN_STEP_S", 0.1)
    toys = (
        GpuStep(name="fine", what="a | b", arguments=("-c", "pass"), limit_s=60.0),
        GpuStep(name="fails", what="c", arguments=("-c", "raise SystemExit(4)"), limit_s=60.0),
    )
    monkeypatch.setattr(gpu, "steps", lambda *_: {toy.name: toy for toy in toys})
    fine = [str(tmp_path / "out"), "--device", "cpu", "--steps", "fine"]
    assert gpu.main(fine) == 0
    assert gpu.main([str(tmp_path / "out"), "--device", "cpu"]) == 1
    page = (tmp_path / "out" / gpu.FILE).read_text()
    assert "](" not in page
    assert "| fine | a &#124; b |" in " ".join(page.split())
    assert "exit code 4" in page
    assert "fails: exit code 4" in capsys.readouterr().err
    assert gpu.main(fine) == 0  # another call appends to the page
    assert (tmp_path / "out" / gpu.FILE).read_text().startswith(page)


def test_steps_run_in_a_fixed_order() -> None:
    known = steps_by_name("cuda")
    assert gpu.choose_steps(None, known) == tuple(known.values())
    assert [each.name for each in gpu.choose_steps("default,tests", known)] == ["tests", "default"]


def test_sigterm_from_a_scheduler_interrupts_the_current_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(ROOT)
    late = GpuStep(name="late", what="a", arguments=("-c", WRITES_LATE), limit_s=60.0)
    monkeypatch.setattr(gpu, "steps", lambda *_: {"late": late})

    def end() -> None:
        while not (tmp_path / late.log).is_file() or not (tmp_path / late.log).read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()
    assert gpu.main([str(tmp_path), "--device", "cpu"]) == 2
    assert (tmp_path / late.log).read_text() == "begun\nwritten\n"
    assert "interrupted" in capsys.readouterr().err


def test_only_reports_that_the_step_wrote_are_linked(tmp_path: Path) -> None:
    wrote, did_not = (
        GpuStep(name="a", what="b", arguments=(), limit_s=1.0, report=f"{name}/report.md")
        for name in ("sweep", "energy")
    )
    for each in (wrote, did_not):
        (tmp_path / each.report).parent.mkdir()
        (tmp_path / each.report).write_text(f"# {each.report}")
    os.utime(tmp_path / did_not.report, (1e9, 1e9))  # an earlier attempt, in 2001
    results = [
        StepResult(step=each, began=1e9 + 1, seconds=1.0, status=0, interrupted=False)
        for each in (wrote, did_not)
    ]
    page = gpu.render(results, tmp_path)
    assert page.endswith("\n\n- [sweep/report.md](sweep/report.md)\n")


def test_each_step_writes_its_report() -> None:
    by_name = steps_by_name("cuda", Path("here"))
    for each in by_name.values():
        folder = str(Path("here") / each.report).rpartition("/")[0]
        assert not each.report or f"--report-dir={folder}" in each.arguments


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["out", "--device", "tpu"], "no device is called 'tpu'"),
        (["out", "--device", "cpu", "--limit", "0"], "--limit must be a positive number"),
        (["out", "--device", "cpu", "--steps", "clock"], "did you mean 'clocks'"),
        (["out", "--device", "cpu"], "run this in the root of a checkout"),
    ],
)
def test_an_invalid_request_exits_with_a_message(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gpu.main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created_exits_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").write_text("")
    assert gpu.main([str(tmp_path / "file/out"), "--device", "cpu"]) == 2
    assert "cannot write to" in capsys.readouterr().err
