import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.machine import resident

SIZE = 128 * 2**20  # bytes; much more than this process allocates otherwise

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def allocated(size: int) -> bytearray:
    """Return ``size`` bytes that are written, so that they are in the resident set."""
    return bytearray(b"x") * size


def test_resident_set_is_plausible_and_below_its_peak() -> None:
    now = resident.now_bytes()
    assert 30 * 2**20 < now <= resident.peak_bytes() + SIZE


@linux
def test_resident_set_includes_allocated_memory() -> None:
    before = resident.now_bytes()
    memory = allocated(SIZE)
    assert resident.now_bytes() - before == pytest.approx(len(memory), rel=0.2)


def test_without_proc_the_fallbacks_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = allocated(SIZE)
    del memory
    monkeypatch.setattr(resident, "_STATUS", tmp_path / "status")
    assert resident.now_bytes() == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert resident.peak_bytes() - resident.now_bytes() > SIZE / 2


@linux
def test_reset_peak_resets_the_peak_or_returns_false(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = allocated(SIZE)
    del memory
    high = resident.peak_bytes()
    monkeypatch.setattr(resident, "_CLEAR_REFS", tmp_path / "no folder" / "clear_refs")
    assert not resident.reset_peak()
    assert resident.peak_bytes() >= high
    monkeypatch.undo()
    assert resident.reset_peak()
    assert high - resident.peak_bytes() > SIZE / 2


@linux
def test_peak_of_a_new_program_excludes_its_parent() -> None:
    memory = allocated(SIZE)
    code = "from bench.machine import resident; print(resident.peak_bytes())"
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    assert int(output) < len(memory)
