"""Faults outside the measurement are reported, and the figures are saved."""

import re
import shutil
from pathlib import Path

import pytest

from bench.api.measuring import CODE_CHANGED
from bench.records import store
from tests.bench.suite.running import WORKS, run

pytestmark = pytest.mark.workers


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
