"""Ctrl-C, and the death of the fork server: what was measured is kept."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from bench.records import journal, store
from tests.bench.suite.running import await_line, started
from tests.limits import HANG_S
from tests.warm.interpreter import COLD

pytestmark = pytest.mark.workers


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
    process = started(tmp_path, python=COLD)  # its import takes seconds
    await_line(process, "importing torch")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "interrupted before any result was available" in stdout
    assert "KeyboardInterrupt" not in stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert list(tmp_path.iterdir()) == []


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
