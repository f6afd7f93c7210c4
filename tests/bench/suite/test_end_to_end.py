"""End-to-end tests: ``pytest bench/suite`` in its own process, as users run it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from bench.records import journal, store
from tests.bench.suite.running import BROKEN, SLOW, WORKS, contents, run

pytestmark = pytest.mark.workers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def finished(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one network that works, in two modes, and one that fails."""
    return run(
        f"--archs={WORKS},{BROKEN}",
        "--modes=eager,channels_last",
        "--batch-sizes=2",
        "--image-size=96",
        "--sets=2",
        "--rounds=3",
        "--seed=1",
        f"--report-dir={folder}",
        f"--benchmark-json={folder / 'pytest_benchmark.json'}",
        f"--junitxml={folder / 'junit.xml'}",
        "-k",
        "eager or works",
    )


def ids(entries: Iterable[dict[str, object]]) -> list[object]:
    return [entry["param"] for entry in entries]


def test_a_failed_cell_fails_only_its_own_item(
    finished: subprocess.CompletedProcess[str],
) -> None:
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "1 failed, 2 passed, 1 deselected" in finished.stdout
    assert "warming up: ValueError: broke" in finished.stdout
    assert "about to raise" in finished.stdout
    assert "Traceback" not in finished.stdout


def test_the_table_of_pytest_benchmark_is_shown_only_on_request(
    finished: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    """It has no intervals, and is wider than most terminals."""
    assert "Name (time in" not in finished.stdout
    options = (f"--archs={WORKS}", "--modes=eager", "--batch-sizes=1", "--sets=1", "--rounds=1")
    asked = run(*options, f"--report-dir={tmp_path}", "--benchmark-columns=median")
    assert "Name (time in" in asked.stdout


def test_progress_in_a_log_is_plain_lines(finished: subprocess.CompletedProcess[str]) -> None:
    assert "set 2: measuring (3 steps)" in finished.stderr
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
def test_the_run_file_matches_the_file_of_pytest_benchmark(folder: Path) -> None:
    run_file = json.loads((folder / "run.json").read_text())
    expected_file = json.loads((folder / "pytest_benchmark.json").read_text())
    assert ids(run_file["benchmarks"]) == ids(expected_file["benchmarks"])
    assert len(run_file["benchmarks"]) == 2
    for entry, expected in zip(run_file["benchmarks"], expected_file["benchmarks"], strict=True):
        assert entry["stats"] == expected["stats"]
        assert entry["extra_info"] == expected["extra_info"]
        assert {entry[name] == expected[name] for name in ("name", "fullname", "group")} == {True}
    assert set(run_file) == set(expected_file)


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
def test_the_run_file_has_the_complete_run(folder: Path) -> None:
    run_record = store.read(folder / "run.json")
    assert run_record.status == "complete"
    assert run_record.plan.seed == 1
    assert run_record.plan.image_size == 96
    # tests/bench/broken.py: a 3×3 convolution 3 → 8 with stride 8, and 1000 classes.
    assert run_record.cells[0].cost.macs_per_image == 3 * 3 * 3 * 8 * 12**2 + 8 * 1000
    assert "| image\\_size" in (folder / "report.md").read_text()
    assert run_record.plan.reference_arch == "torchvision"
    # torchvision's network is not selected, so the first cell is the reference.
    assert [record.cell.id for record in run_record.controls] == [
        f"{WORKS}/eager/fp32/b2/infer/cpu/control"
    ]
    assert {(r.set_index, r.round_index) for r in run_record.rounds} == {
        (s, r) for s in range(2) for r in range(3)
    }
    assert [len(record.setups) for record in run_record.cells] == [2, 2, 1]
    assert run_record.cells[2].failure is not None
    assert run_record.environment.variables["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


@pytest.fixture
def earlier(
    finished: subprocess.CompletedProcess[str], folder: Path, tmp_path: Path
) -> dict[str, bytes]:
    """Copy an earlier run's reports to the folder of the next run; return their contents."""
    del finished  # only its files are needed
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return contents(tmp_path)


def test_a_run_without_time_is_inconclusive_and_leaves_earlier_reports(
    tmp_path: Path, earlier: dict[str, bytes]
) -> None:
    done = run(f"--archs={WORKS}", "--budget=0.001", f"--report-dir={tmp_path}")
    assert done.returncode == 3, done.stdout + done.stderr
    message = "Inconclusive: no cell has a figure: the run was over budget; the reports in"
    assert f"{message} {tmp_path} are unchanged." in done.stdout
    assert contents(tmp_path) == earlier


def test_a_run_of_voided_rounds_is_inconclusive_and_leaves_earlier_reports(
    tmp_path: Path, earlier: dict[str, bytes]
) -> None:
    pids: list[int] = []
    with ExitStack() as processes:
        for _ in range(os.cpu_count() or 1):
            busy = processes.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            processes.callback(busy.kill)
            pids.append(busy.pid)
        done = run(
            *(f"--archs={SLOW}", "--modes=eager", "--batch-sizes=2", "--sets=1", "--rounds=1"),
            *("--foreign-cpus=0.0001", f"--report-dir={tmp_path}"),
        )
    assert done.returncode == 3, done.stdout + done.stderr
    progress = " ".join(done.stderr.split())
    assert "all 2 rounds of set 1 were voided: other processes use" in progress
    assert any(f"process {pid} (" in progress for pid in pids)
    assert "no cell has a figure: every round was voided" in done.stdout
    journal_path = tmp_path / journal.FILE
    assert f"{journal_path} has the voided rounds, and --resume continues the run" in done.stdout
    assert contents(tmp_path) == {**earlier, journal.FILE: journal_path.read_bytes()}


def test_a_sweep_reports_where_throughput_saturates(tmp_path: Path) -> None:
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
