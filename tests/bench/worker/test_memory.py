import sys

import pytest
import torch

from bench.worker import memory

CPU = torch.device("cpu")
SIZE = 128 * 2**20  # bytes: far above what else this process may allocate meanwhile

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def resident(size: int) -> bytearray:
    """So many bytes that are really there: written, not only promised."""
    return bytearray(b"x") * size


def test_a_cpu_has_one_peak() -> None:
    assert set(memory.peaks(CPU)) == {"peak_resident_bytes"}


@linux
@pytest.mark.parametrize("kind", ["bytearray", "tensor"])
def test_the_peak_since_a_reset_is_what_was_allocated_since(kind: str) -> None:
    memory.reset_peak(CPU)
    before = memory.peaks(CPU)["peak_resident_bytes"]
    held = resident(SIZE) if kind == "bytearray" else torch.ones(SIZE, dtype=torch.uint8)
    del held
    assert memory.peaks(CPU)["peak_resident_bytes"] - before == pytest.approx(SIZE, rel=0.2)


@linux
def test_a_reset_forgets_an_earlier_peak() -> None:
    held = resident(SIZE)
    del held
    high = memory.peaks(CPU)["peak_resident_bytes"]
    memory.reset_peak(CPU)
    assert high - memory.peaks(CPU)["peak_resident_bytes"] > SIZE / 2


def test_a_peak_that_cannot_be_reset_has_nothing_to_be_taken_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.machine.resident.reset_peak", lambda: False)
    assert memory.reset_peak(CPU) is None


@pytest.mark.parametrize(("device", "counts"), [("cpu", True), ("cuda", False)])
def test_files_that_workers_share_are_no_host_memory_of_one_on_a_gpu(
    device: str, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident_bytes = 2**50
    monkeypatch.setattr("bench.machine.resident.peak_bytes", lambda: resident_bytes)
    for name in ("max_memory_reserved", "memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, lambda _: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 0))
    held = memory.holds(0, torch.device(device))
    assert (held["host_bytes"] == resident_bytes) is counts


@pytest.mark.gpu
def test_the_allocators_peaks_hold_what_was_allocated() -> None:
    device = torch.device("cuda")
    memory.reset_peak(device)
    before = torch.cuda.memory_allocated(device)
    held = torch.ones(SIZE, dtype=torch.uint8, device=device)
    del held
    peaks = memory.peaks(device)
    assert peaks["peak_allocated_bytes"] - before == SIZE
    assert peaks["peak_reserved_bytes"] >= peaks["peak_allocated_bytes"]
