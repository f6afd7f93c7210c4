"""End-to-end tests: ``pytest bench/suite`` in its own process, as users run it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import psutil
import pytest

from bench.api.measuring import CODE_CHANGED
from bench.records import journal, store
from bench.signals import restore_interrupts
from tests.limits import HANG_S
from tests.warm.interpreter import COLD

pytestmark = pytest.mark.workers

ROOT = Path(__file__).resolve().parents[3]
WORKS = "tests.bench.broken:works"
# Its rounds are longer than the resolution at which other processes' CPU time is counted.
SLOW = "tests.bench.broken:slow"
BROKEN = "tests.bench.broken:raises_when_warmed_up"


def command(*options: str) -> list[str]:
    """Return the suite's command, which voids no round even if the test machine is busy."""
    always = ("-p", "no:cacheprovider", "--foreign-cpus=100", "--precision=1", "--no-ceiling")
    return [sys.executable, "-m", "pytest", "bench/suite", *always, *options]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    # Python's default: what a process prints into a pipe waits in its buffer.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command(*options),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--archs", "googlnet"], "no arch is called 'googlnet'; did you mean 'googlenet'?"),
        (["--archs", "tests.bench.broken:work"], "did you mean 'tests.bench.broken:works'?"),
        (["--modes", "compile+eager+x"], "no mode token is called 'x'"),
        (["--batch-sizes", "0"], "at least one image, not 0"),
        (["--delta", "0.1"], "--delta applies only to a gate: name the base with --base"),
        (["--most-sets", "9"], "--most-sets applies only to a gate"),
    ],
)
def test_an_invalid_request_exits_with_a_one_line_message(options: list[str], words: str) -> None:
    refused = run(*options)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout
    assert len(refused.stderr.strip().splitlines()) == 1


def test_several_processes_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    ended = run("--profile=quick", "-n", "2", f"--report-dir={tmp_path / 'reports'}")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest-xdist is enabled (-n, or --dist with --tx)" in ended.stderr
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(("options", "name"), [([], "report.md"), (["--base=HEAD"], "gate.md")])
def test_a_report_folder_with_the_user_s_own_files_is_refused(
    tmp_path: Path, options: list[str], name: str
) -> None:
    (tmp_path / name).write_text("mine\n")
    refused = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/suite", *options, f"--report-dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"contains {name}, which a run would replace or remove" in refused.stderr
    assert contents(tmp_path) == {name: b"mine\n"}


def test_a_selection_without_cells_exits_with_a_message(tmp_path: Path) -> None:
    refused = run("--profile=quick", f"--report-dir={tmp_path / 'report'}", "-k", "nosuch")
    assert refused.returncode == 2
    message = (
        "none of the 6 cells is selected; cell ids look like googlenet/eager/fp32/b1/infer/cpu"
    )
    assert message in refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
    assert not (tmp_path / "report").exists()


def test_a_missing_cuda_device_exits_with_a_message() -> None:
    from bench.machine import driver

    if driver.devices():
        pytest.skip("this machine has a CUDA device")
    refused = run("--device", "cuda")
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--device cpu needs none" in refused.stderr


def test_an_interpreter_that_cannot_run_gives_a_message(tmp_path: Path) -> None:
    not_executable = tmp_path / "python"
    not_executable.write_text("")
    _, _, *arguments = command(f"--archs={WORKS}", f"--report-dir={tmp_path / 'report'}")
    program = (
        f"import sys, pytest; sys.executable = {str(not_executable)!r}; sys.exit(pytest.main({{}}))"
    )
    refused = subprocess.run(
        [sys.executable, "-c", program.format(arguments[1:])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert f"cannot run {not_executable} as an interpreter: Permission denied" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr


def test_a_request_that_only_a_worker_can_refuse_exits_with_a_message(tmp_path: Path) -> None:
    refused = run("--archs=tests.bench.broken:needs_an_argument", f"--report-dir={tmp_path}")
    assert refused.returncode == 2
    assert "needs_an_argument() raised TypeError" in refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
    assert list(tmp_path.iterdir()) == []


def started(folder: Path, *options: str, python: str = sys.executable) -> "subprocess.Popen[str]":
    """Start a run of a network that works, in its own process group, as from a terminal."""
    return subprocess.Popen(
        [
            python,
            *command(f"--archs={WORKS}", "--modes=eager", f"--report-dir={folder}", *options)[1:],
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=restore_interrupts,
    )


def await_line(process: "subprocess.Popen[str]", words: str) -> None:
    """Read the process's stderr up to a line with these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"the process ended without {words!r}")


@pytest.mark.parametrize("times", [1, 8])
def test_ctrl_c_writes_the_reports_even_if_pressed_repeatedly(tmp_path: Path, times: int) -> None:
    process = started(tmp_path, "--rounds=1000000")
    await_line(process, "measuring (")
    journal_path = tmp_path / journal.FILE
    while journal_path.read_text().count("Visited") < 20:
        assert process.poll() is None, "the process ended before it was interrupted"
        time.sleep(0.05)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    stdout, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert stderr.count("stopping and writing the results") == 1
    run_record = store.read(tmp_path / "run.json")
    assert run_record.status == "interrupted"
    assert run_record.cells[0].visits
    assert "**Partial:** the run was interrupted" in (tmp_path / "report.md").read_text()
    assert "Partial" in stdout
    assert "KeyboardInterrupt" not in stdout + stderr
    assert journal_path.exists()


def test_ctrl_c_is_ignored_while_files_are_written(tmp_path: Path) -> None:
    process = started(tmp_path, "--sets=1", "--rounds=1", "--batch-sizes=2")
    await_line(process, "writing the results")
    while process.poll() is None and not (tmp_path / "report.html").exists():
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    stdout, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, stdout
    assert store.read(tmp_path / "run.json").status == "complete"
    assert "1 passed" in stdout
    assert {"report.md", "report.html", "samples.csv"} < {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / journal.FILE).exists()


def test_ctrl_c_before_the_first_figure_exits_with_a_message(tmp_path: Path) -> None:
    process = started(tmp_path)
    await_line(process, "importing torch")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "interrupted before any result was available" in stdout
    assert "KeyboardInterrupt" not in stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def earlier(
    finished: subprocess.CompletedProcess[str], folder: Path, tmp_path: Path
) -> dict[str, bytes]:
    """Copy an earlier run's reports to the folder of the next run; return their contents."""
    del finished  # only its files are needed
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


def test_a_library_s_warning_does_not_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings are errors in these tests, but must not discard minutes of measuring."""
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


def test_a_run_is_saved_even_if_its_reports_cannot_be_written(
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
    assert f"run `googlenet-bench report {folder / 'run.json'}` to write" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert store.read(folder / "run.json").status == "complete"


FULL_DISK = """
import errno, os
from bench import atomic

write = atomic._write

def full(path, text):
    if "wanted" in str(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    write(path, text)

atomic._write = full
"""


def test_a_full_disk_is_told_and_the_reports_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_full_disk.py").write_text(FULL_DISK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(
        *("-p", "a_full_disk", f"--archs={WORKS}", "--modes=eager", "--batch-sizes=2"),
        *("--sets=1", "--rounds=1", f"--report-dir={tmp_path / 'wanted'}"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    told = re.search(
        rf"Error: cannot write the reports to {tmp_path / 'wanted'}: No space left on device; they "
        r"are in (\S+): move them to a disk that has room\.",
        done.stdout,
    )
    assert told
    assert not (tmp_path / "wanted").exists()
    assert store.read(Path(told[1]) / "run.json").status == "complete"
    shutil.rmtree(told[1])


def test_the_death_of_the_fork_server_has_its_own_code_and_closing_sentence(
    tmp_path: Path,
) -> None:
    process = started(tmp_path, "--rounds=1000000", python=COLD)
    await_line(process, "measuring (")
    while (tmp_path / journal.FILE).read_text().count("Visited") < 20:
        assert process.poll() is None, "the process ended before its fork server"
        time.sleep(0.05)
    servers = [
        child
        for child in psutil.Process(process.pid).children()
        if "bench.launch.forkserver" in child.cmdline()
    ]
    assert servers
    for server in servers:
        server.kill()
    stdout, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 1, stdout + stderr
    assert "Partial: The run stopped early: the fork server was killed by SIGKILL" in stdout
    assert store.read(tmp_path / "run.json").status == "interrupted"
    assert (tmp_path / journal.FILE).exists()


def test_code_that_changes_during_a_run_is_noted(
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
