"""The suite as its users run it: ``pytest bench/suite`` in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from bench.records import journal, store
from bench.signals import listen
from bench.suite.measurement import CODE_CHANGED

ROOT = Path(__file__).resolve().parents[3]
WORKS = "tests.bench.broken:works"
SLOW = "tests.bench.broken:slow"  # so that rounds take longer than others' CPU time is counted by
BROKEN = "tests.bench.broken:raises_when_warmed_up"


def command(*options: str) -> list[str]:
    """Nothing is voided, however busy the machine that tests run on."""
    always = ("-p", "no:cacheprovider", "--foreign-cpus=100", "--precision=1", "--no-ceiling")
    return [sys.executable, "-m", "pytest", "bench/suite", *always, *options]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*options), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def finished(folder: Path) -> subprocess.CompletedProcess[str]:
    """A run of a network that works, in two modes, and one that does not."""
    return run(
        f"--archs={WORKS},{BROKEN}",
        "--modes=eager,channels_last",
        "--batch-sizes=2",
        "--image-size=96",
        "--sets=2",
        "--rounds=3",
        "--seed=1",
        f"--report-dir={folder}",
        f"--benchmark-json={folder / 'theirs.json'}",
        f"--junitxml={folder / 'junit.xml'}",
        "-k",
        "eager or works",
    )


def ids(entries: Iterable[dict[str, object]]) -> list[object]:
    return [entry["param"] for entry in entries]


def test_a_failed_cell_fails_its_item_and_no_other(
    finished: subprocess.CompletedProcess[str],
) -> None:
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "1 failed, 2 passed, 1 deselected" in finished.stdout
    assert "warming up: ValueError: broke" in finished.stdout
    assert "about to raise" in finished.stdout
    assert "Traceback" not in finished.stdout


def test_progress_in_a_log_is_plain_lines(finished: subprocess.CompletedProcess[str]) -> None:
    assert "set 2: measuring (9 steps)" in finished.stderr
    assert "failed: " in finished.stderr
    assert "\x1b" not in finished.stderr + finished.stdout


@pytest.mark.usefixtures("finished")
def test_every_report_is_written(folder: Path) -> None:
    summary = pd.read_csv(folder / "summary.csv")
    assert list(summary["status"]) == ["measured", "measured", "failed"]
    samples = pd.read_csv(folder / "samples.csv")
    assert set(zip(samples["set"], samples["round"], strict=True)) == {
        (s, r) for s in range(2) for r in range(3)
    }
    report = (folder / "report.md").read_text()
    assert "Cells without figures" in report
    assert "pytest bench/suite" in report
    assert "junit" in (folder / "junit.xml").name


@pytest.mark.usefixtures("finished")
def test_the_run_file_is_what_pytest_benchmark_writes_itself(folder: Path) -> None:
    ours = json.loads((folder / "run.json").read_text())
    theirs = json.loads((folder / "theirs.json").read_text())
    assert ids(ours["benchmarks"]) == ids(theirs["benchmarks"])
    assert len(ours["benchmarks"]) == 2
    for own, other in zip(ours["benchmarks"], theirs["benchmarks"], strict=True):
        assert own["stats"] == other["stats"]
        assert own["extra_info"] == other["extra_info"]
        assert {own[name] == other[name] for name in ("name", "fullname", "group")} == {True}
    assert set(ours) == set(theirs)


@pytest.mark.usefixtures("finished")
def test_pytest_benchmark_compares_run_files(folder: Path) -> None:
    compared = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(folder / "run.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stderr
    assert f"test_cell[{WORKS}/eager/fp32/b2/infer/cpu]" in compared.stdout


@pytest.mark.usefixtures("finished")
def test_the_run_file_tells_the_whole_run(folder: Path) -> None:
    found = store.read(folder / "run.json")
    assert found.status == "complete"
    assert found.plan["seed"] == 1
    assert found.plan["image_size"] == 96
    # tests/bench/broken.py: a 3×3 convolution 3 → 8 with stride 8, and a classifier of 1000.
    assert found.cells[0].cost["macs_per_image"] == 3 * 3 * 3 * 8 * 12**2 + 8 * 1000
    assert "| image\\_size" in (folder / "report.md").read_text()
    assert found.plan["reference_arch"] == "torchvision"
    # Torchvision's network is not among them: the first cell is what others are compared with.
    assert [record.cell.id for record in found.controls] == [
        f"{WORKS}/eager/fp32/b2/infer/cpu/control"
    ]
    assert {(r.set_index, r.round_index) for r in found.rounds} == {
        (s, r) for s in range(2) for r in range(3)
    }
    assert [len(record.setups) for record in found.cells] == [2, 2, 1]
    assert found.cells[2].failure is not None
    assert found.environment["variables"]["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--archs", "googlnet"], "no arch is called 'googlnet'; did you mean 'googlenet'?"),
        (["--modes", "compile+eager+x"], "no mode token is called 'x'"),
        (["--batch-sizes", "0"], "at least one image, not 0"),
        (["--delta", "0.1"], "--delta is a gate's: name what to judge against with --base"),
        (["--most-sets", "9"], "--most-sets is a gate's"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(options: list[str], words: str) -> None:
    refused = run(*options)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("options", "name"), [([], "report.md"), (["--base=HEAD"], "gate.md")])
def test_a_folder_with_files_of_one_s_own_is_refused(
    tmp_path: Path, options: list[str], name: str
) -> None:
    (tmp_path / name).write_text("mine\n")
    refused = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/suite", *options, f"--report-dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"and {name}, which a run would replace or remove" in refused.stderr
    assert contents(tmp_path) == {name: b"mine\n"}


def test_nothing_to_measure_is_refused_in_a_sentence(tmp_path: Path) -> None:
    refused = run("--profile=quick", f"--report-dir={tmp_path / 'report'}", "-k", "nosuch")
    assert refused.returncode == 2
    said = (
        "none of the 6 cells is selected; their ids are such as googlenet/eager/fp32/b1/infer/cpu"
    )
    assert said in refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
    assert not (tmp_path / "report").exists()


def test_a_missing_cuda_device_is_refused_in_a_sentence() -> None:
    from bench.machine import driver

    if driver.devices():
        pytest.skip("there is a CUDA device here")
    refused = run("--device", "cuda")
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--device cpu needs none" in refused.stderr


def test_an_interpreter_that_cannot_be_run_is_a_sentence(tmp_path: Path) -> None:
    nobody = tmp_path / "python"
    nobody.write_text("")
    _, _, *arguments = command(f"--archs={WORKS}", f"--report-dir={tmp_path / 'report'}")
    program = f"import sys, pytest; sys.executable = {str(nobody)!r}; sys.exit(pytest.main({{}}))"
    refused = subprocess.run(
        [sys.executable, "-c", program.format(arguments[1:])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert f"cannot run {nobody} as an interpreter: Permission denied" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr


def test_what_only_a_worker_can_refuse_is_refused_in_a_sentence(tmp_path: Path) -> None:
    refused = run("--archs=tests.bench.broken:nothing", f"--report-dir={tmp_path}")
    assert refused.returncode == 2
    assert "cannot take 'nothing' from 'tests.bench.broken'" in refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
    assert list(tmp_path.iterdir()) == []


def started(folder: Path, *options: str) -> "subprocess.Popen[str]":
    """A run of a network that works, in a process group of its own, as a terminal's is."""
    return subprocess.Popen(
        command(f"--archs={WORKS}", "--modes=eager", f"--report-dir={folder}", *options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=listen,
    )


def await_line(process: "subprocess.Popen[str]", words: str) -> None:
    """Read what it says until these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")


@pytest.mark.parametrize("times", [1, 8])
def test_ctrl_c_writes_what_was_measured_however_often_it_is_pressed(
    tmp_path: Path, times: int
) -> None:
    process = started(tmp_path, "--rounds=1000000")
    await_line(process, "measuring (")
    kept = tmp_path / journal.FILE
    while kept.read_text().count("Visited") < 20:
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.05)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    output, said = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert said.count("what was measured is being written") == 1
    found = store.read(tmp_path / "run.json")
    assert found.status == "interrupted"
    assert found.cells[0].visits
    assert "**Partial:** the run was interrupted" in (tmp_path / "report.md").read_text()
    assert "Partial" in output
    assert "KeyboardInterrupt" not in output + said
    assert kept.exists()


def test_ctrl_c_while_files_are_written_changes_nothing(tmp_path: Path) -> None:
    process = started(tmp_path, "--sets=1", "--rounds=1", "--batch-sizes=2")
    await_line(process, "writing what was measured")
    while process.poll() is None and not (tmp_path / "report.html").exists():
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert store.read(tmp_path / "run.json").status == "complete"
    assert "1 passed" in output
    assert {"report.md", "report.html", "samples.csv"} < {one.name for one in tmp_path.iterdir()}
    assert not (tmp_path / journal.FILE).exists()


def test_ctrl_c_before_there_is_a_figure_ends_in_a_sentence(tmp_path: Path) -> None:
    process = started(tmp_path)
    await_line(process, "importing torch")
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "interrupted, before there was anything to show" in output
    assert "KeyboardInterrupt" not in output + said
    assert "Traceback" not in output + said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def earlier(
    finished: subprocess.CompletedProcess[str], folder: Path, tmp_path: Path
) -> dict[str, bytes]:
    """An earlier run's reports, in the folder of the next."""
    del finished  # its files
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return contents(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_run_without_time_is_inconclusive_and_leaves_earlier_reports(
    tmp_path: Path, earlier: dict[str, bytes]
) -> None:
    done = run(f"--archs={WORKS}", "--budget=0.001", f"--report-dir={tmp_path}")
    assert done.returncode == 3, done.stdout + done.stderr
    said = "Inconclusive: no cell has a figure: the run was over budget; reports of"
    assert f"{said} {tmp_path} are as they were." in done.stdout
    assert contents(tmp_path) == earlier


def test_a_run_of_voided_rounds_is_inconclusive_and_leaves_earlier_reports(
    tmp_path: Path, earlier: dict[str, bytes]
) -> None:
    with ExitStack() as closing:
        for _ in range(os.cpu_count() or 1):
            other = closing.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            closing.callback(other.kill)
        done = run(
            *(f"--archs={SLOW}", "--modes=eager", "--batch-sizes=2", "--sets=1", "--rounds=1"),
            *("--foreign-cpus=0.0001", f"--report-dir={tmp_path}"),
        )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "no cell has a figure: every round was voided" in done.stdout
    kept = tmp_path / journal.FILE
    assert f"what was voided is in {kept}, with which --resume goes on" in done.stdout
    assert contents(tmp_path) == {**earlier, journal.FILE: kept.read_bytes()}


def test_a_sweep_says_where_throughput_is_saturated(tmp_path: Path) -> None:
    done = run(
        "--profile=sweep",
        f"--archs={WORKS}",
        "--modes=eager",
        "--device=cpu",
        "--sets=2",
        "--rounds=2",
        f"--report-dir={tmp_path}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = pd.read_csv(tmp_path / "saturation.csv").to_dict("records")
    assert row["batch_sizes"] == "1, 2, 4, 8, 16"
    cells = pd.read_csv(tmp_path / "summary.csv").to_dict("records")
    rates = {cell["batch_size"]: cell["images_per_s"] for cell in cells}
    assert row["best_batch_size"] == max(rates, key=lambda size: rates[size])
    assert row["images_per_s"] == pytest.approx(rates[row["saturated_from"]])
    assert "saturated" in (tmp_path / "report.md").read_text()


def test_a_library_s_warning_costs_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In our tests warnings are errors; what was measured for minutes must not end in one."""
    (tmp_path / "a_library_that_warns.py").write_text(
        "import warnings\n"
        "def pytest_benchmark_update_machine_info(config, machine_info):\n"
        "    warnings.warn('this will change', FutureWarning)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(
        *("-p", "a_library_that_warns", f"--archs={WORKS}", "--modes=eager", "--batch-sizes=2"),
        *("--sets=1", "--rounds=1", f"--report-dir={tmp_path}"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FutureWarning: this will change" in done.stdout
    assert (tmp_path / "run.json").exists()


def test_a_run_whose_reports_cannot_be_made_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "altair.py").write_text("raise RuntimeError('Could not determine home directory.')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = tmp_path / "report"
    done = run(
        *(f"--archs={WORKS}", "--modes=eager", "--batch-sizes=2"),
        *("--sets=1", "--rounds=1", f"--report-dir={folder}"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cannot write the reports: RuntimeError: Could not determine home" in done.stdout
    assert f"`googlenet-bench report {folder / 'run.json'}` makes them" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert store.read(folder / "run.json").status == "complete"


def test_code_that_is_changed_while_it_is_measured_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets_that_change.py").write_text(
        "from pathlib import Path\n"
        "from tests.bench import broken\n"
        "def net():\n"
        "    with Path(__file__).open('a') as file:\n"
        "        file.write('# as before\\n')\n"
        "    return broken.works()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(
        *("--archs=nets_that_change:net", "--modes=eager", "--batch-sizes=2"),
        *("--sets=1", "--rounds=1", f"--report-dir={tmp_path / 'report'}"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert CODE_CHANGED in store.read(tmp_path / "report" / "run.json").notes
    assert CODE_CHANGED in (tmp_path / "report" / "report.md").read_text()
