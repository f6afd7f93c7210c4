import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench import cli
from bench.engine.launch import ROOT
from bench.gpu import command as gpu
from bench.gpu import compiling, step
from bench.gpu.step import GRACE_S, GpuStep, Taken
from bench.gpu.steps import MARK, PYTEST, TESTS, steps, with_gpu_tests
from bench.selfcheck import command as selfcheck
from tests.bench import rehearsal
from tests.bench.gpu.test_step import WRITES_LATE

Capture = pytest.CaptureFixture[str]


def named(device: str, folder: Path = Path("reports/here")) -> dict[str, GpuStep]:
    return dict(steps(device, folder))


def test_all_steps_fit_into_the_time() -> None:
    assert sum(one.limit_s for one in named("cuda").values()) + GRACE_S <= gpu.LIMIT_S


def test_each_precision_that_the_device_has_is_measured() -> None:
    assert "--dtypes=fp32,tf32,bf16" in named("cuda")["default"].arguments
    assert "--dtypes=fp32,bf16" in named("cpu")["default"].arguments


def test_tests_that_need_a_gpu_come_from_their_files_alone(tmp_path: Path) -> None:
    """A file that this machine cannot import, a browser's say, would end them all."""
    (tmp_path / "deep").mkdir()
    for name, text in {"test_a": f"@{MARK}", "deep/test_b": f"@{MARK}", "test_c": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
    expected = [str(tmp_path / "deep/test_b.py"), str(tmp_path / "test_a.py")]
    assert list(with_gpu_tests(tmp_path)) == expected
    (tmp_path / "test_subject.py").write_text(f"@{MARK}")
    assert with_gpu_tests(tmp_path)[0] == str(tmp_path / "test_subject.py")
    assert with_gpu_tests(tmp_path / "nothing") == (str(tmp_path / "nothing"),)
    files = with_gpu_tests(ROOT / TESTS)
    assert str(ROOT / "tests/bench/worker/test_clock.py") in files
    assert not any("in_browser" in file for file in files)


def test_a_library_s_warning_costs_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "test_warns.py").write_text(
        "import warnings\ndef test(): warnings.warn('is deprecated', FutureWarning)"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error")
    command = [sys.executable, *PYTEST, str(tmp_path)]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", ["tests", "default", "sweep", "energy"])
def test_pytest_takes_what_the_steps_ask_of_it(name: str, device: str, tmp_path: Path) -> None:
    """Collected, and not measured: an option that it does not know ends that, or does not fit."""
    collected = subprocess.run(
        [sys.executable, *named(device, tmp_path)[name].within(50.0), "--collect-only", "-q"],
        cwd=ROOT,
        env=rehearsal.environment() if device == "cuda" else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert collected.returncode == 0, collected.stdout


def test_other_commands_take_what_the_steps_ask_of_them() -> None:
    taken = named("cpu")
    stages = cli._parser().parse_args(taken["stages"].arguments[2:])
    assert stages.arch == ["googlenet", "torchvision"]
    assert cli._parser().parse_args(taken["reports"].arguments[2:]).run == [
        Path("reports/here/run.json")
    ]
    assert compiling._parser().parse_args(taken["compile"].arguments[2:]).device == "cpu"
    assert selfcheck._parser().parse_args(taken["clocks"].arguments[2:]).parts == "bias"


def test_what_was_done_is_written_down_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(step, "LEAST_S", 0.1)
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
    assert gpu.main(fine) == 0  # which says nothing of what stays of the other
    assert (tmp_path / "out" / gpu.FILE).read_text().startswith(page)


def test_steps_are_taken_in_their_order_whatever_the_order_asked_for() -> None:
    known = named("cuda")
    assert gpu.chosen(None, known) == tuple(known.values())
    assert [one.name for one in gpu.chosen("default,tests", known)] == ["tests", "default"]


def test_a_scheduler_s_time_limit_interrupts_the_step_under_way(
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


def test_what_a_step_wrote_is_linked_where_it_is_there(tmp_path: Path) -> None:
    wrote, did_not = (
        GpuStep(name="a", what="b", arguments=(), limit_s=1.0, report=f"{name}/report.md")
        for name in ("sweep", "energy")
    )
    for one in (wrote, did_not):
        (tmp_path / one.report).parent.mkdir()
        (tmp_path / one.report).write_text(f"# {one.report}")
    os.utime(tmp_path / did_not.report, (1e9, 1e9))  # by an earlier try, in 2001
    ends = [
        Taken(step=one, began=1e9 + 1, seconds=1.0, status=0, interrupted=False)
        for one in (wrote, did_not)
    ]
    page = gpu.render(ends, tmp_path)
    assert page.endswith("\n\n- [sweep/report.md](sweep/report.md)\n")


def test_each_report_is_one_that_its_step_writes() -> None:
    taken = named("cuda", Path("here"))
    for one in taken.values():
        folder = str(Path("here") / one.report).rpartition("/")[0]
        assert not one.report or f"--report-dir={folder}" in one.arguments


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["out", "--device", "tpu"], "no device is called 'tpu'"),
        (["out", "--device", "cpu", "--limit", "0"], "--limit must be a positive number"),
        (["out", "--device", "cpu", "--steps", "clock"], "did you mean 'clocks'"),
        (["out", "--device", "cpu"], "start it at a checkout's root"),
    ],
)
def test_a_wrong_request_is_a_sentence(
    given: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gpu.main(given) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").write_text("")
    assert gpu.main([str(tmp_path / "file/out"), "--device", "cpu"]) == 2
    assert "cannot write to" in capsys.readouterr().err
