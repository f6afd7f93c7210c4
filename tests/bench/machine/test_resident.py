import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.machine import resident

SIZE = 128 * 2**20  # bytes: far above what else this process may allocate meanwhile

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def allocated(size: int) -> bytearray:
    """So many bytes that are really there: written, not only promised."""
    return bytearray(b"x") * size


def test_the_resident_set_holds_the_interpreter_and_is_below_its_peak() -> None:
    now = resident.now_bytes()
    assert 30 * 2**20 < now <= resident.peak_bytes() + SIZE


@linux
def test_what_is_allocated_is_in_the_resident_set() -> None:
    before = resident.now_bytes()
    held = allocated(SIZE)
    assert resident.now_bytes() - before == pytest.approx(len(held), rel=0.2)


def test_without_proc_it_is_what_it_is_now_and_no_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = allocated(SIZE)
    del held
    monkeypatch.setattr(resident, "_STATUS", tmp_path / "status")
    assert resident.now_bytes() == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert resident.peak_bytes() - resident.now_bytes() > SIZE / 2


@linux
def test_a_peak_is_forgotten_or_said_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = allocated(SIZE)
    del held
    high = resident.peak_bytes()
    monkeypatch.setattr(resident, "_CLEAR_REFS", tmp_path / "no folder" / "clear_refs")
    assert not resident.reset_peak()
    assert resident.peak_bytes() >= high
    monkeypatch.undo()
    assert resident.reset_peak()
    assert high - resident.peak_bytes() > SIZE / 2


@linux
def test_a_new_programs_peak_is_not_that_of_the_process_that_started_it() -> None:
    held = allocated(SIZE)
    code = "from bench.machine import resident; print(resident.peak_bytes())"
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    assert int(output) < len(held)
