import sys

import pytest
import torch

from bench.worker import memory

CPU = torch.device("cpu")
SIZE = 128 * 2**20  # bytes: far more than other allocations of this process in the meantime

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")


def resident(size: int) -> bytearray:
    """Return a buffer of ``size`` bytes that is resident because it has been written."""
    return bytearray(b"x") * size


def test_the_cpu_has_one_peak() -> None:
    peaks = memory.peaks(CPU)
    assert peaks.resident_bytes > 0
    assert peaks.allocated_bytes is peaks.reserved_bytes is None


@linux
@pytest.mark.parametrize("kind", ["bytearray", "tensor"])
def test_the_peak_after_a_reset_is_the_memory_allocated_since(kind: str) -> None:
    memory.reset_peak(CPU)
    before = memory.peaks(CPU).resident_bytes
    buffer = resident(SIZE) if kind == "bytearray" else torch.ones(SIZE, dtype=torch.uint8)
    del buffer
    assert memory.peaks(CPU).resident_bytes - before == pytest.approx(SIZE, rel=0.2)


@linux
def test_a_reset_forgets_earlier_peaks() -> None:
    buffer = resident(SIZE)
    del buffer
    high = memory.peaks(CPU).resident_bytes
    memory.reset_peak(CPU)
    assert high - memory.peaks(CPU).resident_bytes > SIZE / 2


def test_reset_peak_returns_none_if_the_peak_cannot_be_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.machine.resident.reset_peak", lambda: False)
    assert memory.reset_peak(CPU) is None


@pytest.mark.parametrize(("device", "counts"), [("cpu", True), ("cuda", False)])
def test_host_memory_of_a_gpu_worker_excludes_shared_files(
    device: str, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident_bytes = 2**50
    monkeypatch.setattr("bench.machine.resident.peak_bytes", lambda: resident_bytes)
    for name in ("max_memory_reserved", "memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, lambda _: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 0))
    sizes = memory.footprint(0, torch.device(device))
    assert (sizes.host_bytes == resident_bytes) is counts


@pytest.mark.gpu
def test_peaks_of_the_allocator_include_all_allocations() -> None:
    device = torch.device("cuda")
    memory.reset_peak(device)
    before = torch.cuda.memory_allocated(device)
    tensor = torch.ones(SIZE, dtype=torch.uint8, device=device)
    del tensor
    peaks = memory.peaks(device)
    assert peaks.allocated_bytes is not None
    assert peaks.reserved_bytes is not None
    assert peaks.allocated_bytes - before == SIZE
    assert peaks.reserved_bytes >= peaks.allocated_bytes
